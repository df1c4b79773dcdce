import { type CanActivate, type ExecutionContext, Injectable } from '@nestjs/common';
import type { FastifyRequest } from 'fastify';
import { RateLimits } from './rate-limits.ts';

/** Previews are counted by user: what may be asked for nothing is not asked without end. */
@Injectable()
export class PreviewQuotaGuard implements CanActivate {
  constructor(private readonly limits: RateLimits) {}

  canActivate(context: ExecutionContext): boolean {
    this.limits.count(context.switchToHttp().getRequest<FastifyRequest>(), 'preview');
    return true;
  }
}
