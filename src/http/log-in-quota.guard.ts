import { type CanActivate, type ExecutionContext, Injectable } from '@nestjs/common';
import type { FastifyRequest } from 'fastify';
import { RateLimits } from './rate-limits.ts';

/** Log-ins are counted by address, and by the person who is tried, so that neither many passwords nor many people can be. */
@Injectable()
export class LogInQuota implements CanActivate {
  constructor(private readonly limits: RateLimits) {}

  async canActivate(context: ExecutionContext): Promise<boolean> {
    const request = context.switchToHttp().getRequest<FastifyRequest>();
    await this.limits.count(request, 'log-in-address');
    await this.limits.count(request, 'log-in-email');
    return true;
  }
}
