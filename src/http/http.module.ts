import { Global, Module } from '@nestjs/common';
import { APP_FILTER, APP_GUARD, DiscoveryModule } from '@nestjs/core';
import { Currencies } from '../config/currencies.ts';
import { AccessTokens } from './access/access-tokens.ts';
import { Authentication } from './access/authentication.ts';
import { DeviceMarks } from './access/device-marks.ts';
import { PrincipalGuard } from './access/principal.guard.ts';
import { Standings } from './access/standings.ts';
import { Expansions } from './expansion/expansions.ts';
import { IdempotencyRepository } from './idempotency/idempotency.repository.ts';
import { IdempotencyService } from './idempotency/idempotency.service.ts';
import { RateLimits } from './limits/rate-limits.ts';
import { Cursors } from './pages/cursors.ts';
import { ProblemFilter } from './problems/problem.filter.ts';
import { Answers } from './responses/answers.ts';
import { RouteTable } from './route-facts.ts';
import { Views } from './responses/views.ts';

@Global()
@Module({
  imports: [DiscoveryModule],
  providers: [
    Currencies,
    AccessTokens,
    Answers,
    Authentication,
    Cursors,
    DeviceMarks,
    Expansions,
    IdempotencyRepository,
    IdempotencyService,
    RateLimits,
    RouteTable,
    Standings,
    Views,
    { provide: APP_FILTER, useClass: ProblemFilter },
    { provide: APP_GUARD, useClass: PrincipalGuard },
  ],
  exports: [
    Currencies,
    AccessTokens,
    Answers,
    Cursors,
    DeviceMarks,
    Expansions,
    IdempotencyService,
    RateLimits,
    Standings,
    Views,
  ],
})
export class HttpModule {}
