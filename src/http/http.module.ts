import { Global, Module } from '@nestjs/common';
import { APP_FILTER, APP_GUARD, APP_INTERCEPTOR } from '@nestjs/core';
import { Clock } from '../kernel/clock.ts';
import { AccessTokens } from './access-tokens.ts';
import { IdempotencyInterceptor } from './idempotency.interceptor.ts';
import { IdempotencyRepository } from './idempotency.repository.ts';
import { IdempotencyService } from './idempotency.service.ts';
import { IdempotencySweep } from './idempotency.sweep.ts';
import { PrincipalGuard } from './principal.guard.ts';
import { ProblemFilter } from './problem.filter.ts';

@Global()
@Module({
  providers: [
    Clock,
    AccessTokens,
    IdempotencyRepository,
    IdempotencyService,
    IdempotencySweep,
    { provide: APP_FILTER, useClass: ProblemFilter },
    { provide: APP_GUARD, useClass: PrincipalGuard },
    { provide: APP_INTERCEPTOR, useClass: IdempotencyInterceptor },
  ],
  exports: [Clock, AccessTokens],
})
export class HttpModule {}
