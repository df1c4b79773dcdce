import { applyDecorators, createParamDecorator, type ExecutionContext, SetMetadata } from '@nestjs/common';
import { ApiSecurity } from '@nestjs/swagger';
import { MisuseError } from '../../kernel/loggable-error.ts';
import type { Principal } from '../../kernel/principal.ts';
import { routeFacts, type RouteFacts } from '../route-facts.ts';

/** What the OpenAPI document calls our access tokens. */
export const scheme = 'bearer';

export const ACCESS = Symbol('access');
export type Access = NonNullable<RouteFacts['access']>;
/** A request that the guard has let in. */
export interface AuthenticatedRequest {
  principal?: Principal;
}

const open = (access: Access): MethodDecorator => applyDecorators(SetMetadata(ACCESS, access), routeFacts({ access }));

/** Open to everybody. */
export const Public = (): MethodDecorator => open('public');

/** Open to whoever is signed in. What no route says is the same, undocumented; so say it. */
export const SignedIn = (): MethodDecorator => applyDecorators(open('signed-in'), ApiSecurity(scheme));

/** Open to whoever ends a session: with an access token, also one that is over, or with what the body holds. */
export const Leaving = (): MethodDecorator => applyDecorators(open('leaving'), ApiSecurity(scheme));

/** Open to operators. */
export const OperatorsOnly = (): MethodDecorator =>
  applyDecorators(open('operator'), ApiSecurity(scheme, ['operator']));

/** Parameter: who asks. */
export const Caller = createParamDecorator((_: unknown, context: ExecutionContext): Principal => {
  const { principal } = context.switchToHttp().getRequest<AuthenticatedRequest>();
  if (principal === undefined) throw new MisuseError('@Caller() stands on a @Public() route.');
  return principal;
});

/** Parameter: who leaves; null for whoever shows no access token. On {@link Leaving} routes. */
export const Leaver = createParamDecorator(
  (_: unknown, context: ExecutionContext): Principal | null =>
    context.switchToHttp().getRequest<AuthenticatedRequest>().principal ?? null,
);
