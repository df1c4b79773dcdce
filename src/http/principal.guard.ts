import { type CanActivate, type ExecutionContext, Injectable } from '@nestjs/common';
import { Reflector } from '@nestjs/core';
import type { FastifyRequest } from 'fastify';
import { forbidden } from '../kernel/errors.ts';
import { Callers } from './callers.ts';
import { type Access, ACCESS, type Signed } from './principal.ts';

/** Lets a request in when its token allows the route. Routes are closed unless they say `@Public()`. */
@Injectable()
export class PrincipalGuard implements CanActivate {
  constructor(
    private readonly reflector: Reflector,
    private readonly callers: Callers,
  ) {}

  async canActivate(context: ExecutionContext): Promise<boolean> {
    const access = this.reflector.getAllAndOverride<Access | undefined>(ACCESS, [
      context.getHandler(),
      context.getClass(),
    ]);
    if (access === 'public') return true;
    const request = context.switchToHttp().getRequest<Signed & FastifyRequest>();
    request.principal = await this.callers.recognise(request);
    if (access === 'operator' && request.principal.role !== 'operator')
      throw forbidden('not-allowed', 'This is for operators.');
    return true;
  }
}
