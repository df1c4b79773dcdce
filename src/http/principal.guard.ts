import { type CanActivate, type ExecutionContext, Injectable } from '@nestjs/common';
import { Reflector } from '@nestjs/core';
import type { FastifyRequest } from 'fastify';
import { Clock } from '../kernel/clock.ts';
import { forbidden, unauthorized } from '../kernel/errors.ts';
import type { Principal } from '../kernel/principal.ts';
import { AccessTokens } from './access-tokens.ts';
import { type Access, ACCESS, type Signed } from './principal.ts';

/** Lets a request in when its token allows the route. Routes are closed unless they say `@Public()`. */
@Injectable()
export class PrincipalGuard implements CanActivate {
  constructor(
    private readonly reflector: Reflector,
    private readonly tokens: AccessTokens,
    private readonly clock: Clock,
  ) {}

  async canActivate(context: ExecutionContext): Promise<boolean> {
    const access = this.reflector.getAllAndOverride<Access | undefined>(ACCESS, [
      context.getHandler(),
      context.getClass(),
    ]);
    if (access === 'public') return true;
    const request = context.switchToHttp().getRequest<Signed & FastifyRequest>();
    request.principal = await this.principalOf(request);
    if (access === 'operator' && request.principal.role !== 'operator')
      throw forbidden('not-allowed', 'This is for operators.');
    return true;
  }

  private principalOf({ headers }: FastifyRequest): Promise<Principal> {
    const token = /^Bearer ([\w.-]{1,4096})$/i.exec(headers.authorization ?? '')?.[1];
    if (token === undefined) throw unauthorized('token-missing', 'Send an access token: Authorization: Bearer …');
    return this.tokens.read(token, this.clock.now());
  }
}
