import { type CanActivate, type ExecutionContext, Injectable } from '@nestjs/common';
import { Reflector } from '@nestjs/core';
import type { FastifyRequest } from 'fastify';
import { demandRole } from './access-check.ts';
import { noteCaller } from './asker.ts';
import { Authentication } from './authentication.ts';
import { type Access, ACCESS, type AuthenticatedRequest } from './principal.ts';
import { Standings } from './standings.ts';

/** Lets a request in when its token allows the route. Routes are closed unless they say `@Public()`. */
@Injectable()
export class PrincipalGuard implements CanActivate {
  constructor(
    private readonly reflector: Reflector,
    private readonly callers: Authentication,
    private readonly standings: Standings,
  ) {}

  async canActivate(context: ExecutionContext): Promise<boolean> {
    const access = this.reflector.getAllAndOverride<Access | undefined>(ACCESS, [
      context.getHandler(),
      context.getClass(),
    ]);
    if (access === 'public') return true;
    const request = context.switchToHttp().getRequest<AuthenticatedRequest & FastifyRequest>();
    if (access === 'leaving') return this.letLeave(request);
    const claimed = this.callers.recognise(request);
    // Whatever changes something, or is for operators, is decided by what is true now.
    const isOwnRead = access === 'signed-in' && (request.method === 'GET' || request.method === 'HEAD');
    request.principal = await (isOwnRead ? this.standings.recently(claimed) : this.standings.now(claimed));
    noteCaller(request, request.principal);
    demandRole(request.principal, access);
    return true;
  }

  private letLeave(request: AuthenticatedRequest & FastifyRequest): true {
    const leaver = this.callers.leaving(request);
    if (leaver !== null) {
      request.principal = leaver;
      noteCaller(request, leaver);
    }
    return true;
  }
}
