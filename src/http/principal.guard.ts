import { type CanActivate, type ExecutionContext, Injectable } from '@nestjs/common';
import { Reflector } from '@nestjs/core';
import type { FastifyRequest } from 'fastify';
import { forbidden } from '../kernel/errors.ts';
import { Callers } from './callers.ts';
import { type Access, ACCESS, type Signed } from './principal.ts';
import { noteCaller } from './asker.ts';
import { Standings } from './standings.ts';

/** Lets a request in when its token allows the route. Routes are closed unless they say `@Public()`. */
@Injectable()
export class PrincipalGuard implements CanActivate {
  constructor(
    private readonly reflector: Reflector,
    private readonly callers: Callers,
    private readonly standings: Standings,
  ) {}

  async canActivate(context: ExecutionContext): Promise<boolean> {
    const access = this.reflector.getAllAndOverride<Access | undefined>(ACCESS, [
      context.getHandler(),
      context.getClass(),
    ]);
    if (access === 'public') return true;
    const request = context.switchToHttp().getRequest<Signed & FastifyRequest>();
    if (access === 'leaving') return this.letLeave(request);
    const claimed = await this.callers.recognise(request);
    // Whatever changes something, or is for operators, is decided by what is true now.
    const isOwnRead = access === 'signed-in' && (request.method === 'GET' || request.method === 'HEAD');
    request.principal = await (isOwnRead ? this.standings.recently(claimed) : this.standings.now(claimed));
    noteCaller(request.raw, request.principal);
    if (access === 'operator' && request.principal.role !== 'operator')
      throw forbidden('not-allowed', 'This is for operators.');
    return true;
  }

  private letLeave(request: Signed & FastifyRequest): true {
    const leaver = this.callers.leaving(request);
    if (leaver !== null) {
      request.principal = leaver;
      noteCaller(request.raw, leaver);
    }
    return true;
  }
}
