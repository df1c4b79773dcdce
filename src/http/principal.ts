import { applyDecorators, createParamDecorator, type ExecutionContext, SetMetadata } from '@nestjs/common';
import { ApiSecurity } from '@nestjs/swagger';
import type { Principal } from '../kernel/principal.ts';
import { MisuseError } from '../kernel/loggable-error.ts';

/** What the OpenAPI document calls our access tokens. */
export const scheme = 'bearer';

export const ACCESS = Symbol('access');
export type Access = 'public' | 'leaving' | 'signed-in' | 'operator';
/** A request that the guard has let in. */
export interface Signed {
  principal?: Principal;
}

/** Open to everybody. */
export const Public = (): MethodDecorator => SetMetadata(ACCESS, 'public' satisfies Access);

/** Open to whoever is signed in. What no route says is the same, undocumented; so say it. */
export const SignedIn = (): MethodDecorator =>
  applyDecorators(SetMetadata(ACCESS, 'signed-in' satisfies Access), ApiSecurity(scheme));

/** Open to whoever ends a session: with an access token, also one that is over, or with what the body holds. */
export const Leaving = (): MethodDecorator =>
  applyDecorators(SetMetadata(ACCESS, 'leaving' satisfies Access), ApiSecurity(scheme));

/** Open to operators. */
export const OperatorsOnly = (): MethodDecorator =>
  applyDecorators(SetMetadata(ACCESS, 'operator' satisfies Access), ApiSecurity(scheme, ['operator']));

/** Parameter: who asks. */
export const Caller = createParamDecorator((_: unknown, context: ExecutionContext): Principal => {
  const { principal } = context.switchToHttp().getRequest<Signed>();
  if (principal === undefined) throw new MisuseError('@Caller() stands on a @Public() route.');
  return principal;
});

/** Parameter: who leaves; null for whoever shows no access token. On {@link Leaving} routes. */
export const Leaver = createParamDecorator(
  (_: unknown, context: ExecutionContext): Principal | null =>
    context.switchToHttp().getRequest<Signed>().principal ?? null,
);
