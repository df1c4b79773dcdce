import { type CanActivate, type ExecutionContext, Injectable } from '@nestjs/common';
import type { FastifyRequest } from 'fastify';
import { canonicalEmail } from '../../kernel/email.ts';
import { generalProblems } from '../../kernel/general.problems.ts';
import { DeviceMarks } from '../access/device-marks.ts';
import { networkOf } from './address.ts';
import { RateLimits } from './rate-limits.ts';
import { SlowLane } from './slow-lane.ts';

const requestOf = (context: ExecutionContext) => context.switchToHttp().getRequest<FastifyRequest>();

/** Sign-ups are counted by address: each hashes a password, and takes an address that somebody may want. */
@Injectable()
export class SignUpQuotaGuard implements CanActivate {
  constructor(private readonly limits: RateLimits) {}

  canActivate(context: ExecutionContext): boolean {
    this.limits.count(requestOf(context), 'sign-up-address');
    return true;
  }
}

/** Those who show a token that was mailed or handed over are counted by address, like those who log in. */
@Injectable()
export class AddressQuota implements CanActivate {
  constructor(private readonly limits: RateLimits) {}

  canActivate(context: ExecutionContext): boolean {
    this.limits.count(requestOf(context), 'log-in-address');
    return true;
  }
}

/** Who gives the present password beside an access token is counted by user: a stolen token must not be good for guessing. */
@Injectable()
export class PasswordQuota implements CanActivate {
  constructor(private readonly limits: RateLimits) {}

  canActivate(context: ExecutionContext): boolean {
    const request = requestOf(context);
    const { currentPassword } = (request.body ?? {}) as { currentPassword?: unknown };
    if (currentPassword !== undefined) this.limits.count(request, 'password');
    return true;
  }
}

const spacingMs = 1000;
const longestMs = 20_000;

/**
 * Log-ins are counted by address, and by address and e-mail together, so that one address can try neither many passwords nor many people. What is
 * tried of one e-mail from many addresses is slowed down and not refused, or strangers would lock its owner out; a device on which the owner was
 * logged in is counted apart from all of them.
 */
@Injectable()
export class LogInQuotaGuard implements CanActivate {
  private readonly slow = new SlowLane(spacingMs, longestMs);

  constructor(
    private readonly limits: RateLimits,
    private readonly marks: DeviceMarks,
  ) {}

  async canActivate(context: ExecutionContext): Promise<boolean> {
    const request = requestOf(context);
    if (this.isKnownDevice(request)) {
      this.limits.count(request, 'log-in-device');
      return true;
    }
    this.limits.count(request, 'log-in-address');
    this.limits.count(request, 'log-in-pair');
    if (this.limits.isBeyond(request, 'log-in-email')) await this.slowDown(request);
    return true;
  }

  private isKnownDevice({ body }: FastifyRequest): boolean {
    const { email, deviceToken } = (body ?? {}) as { email?: unknown; deviceToken?: unknown };
    const canonical = typeof email === 'string' ? canonicalEmail(email) : null;
    return canonical !== null && this.marks.isOf(deviceToken, canonical);
  }

  private async slowDown(request: FastifyRequest): Promise<void> {
    const isThrough = await this.slow.wait(this.limits.emailOf(request), networkOf(request.ip));
    if (!isThrough) throw generalProblems.reducedCapacity('This address is tried to log in with by too many at once.');
  }
}
