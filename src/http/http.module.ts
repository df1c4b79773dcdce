import { Global, Module } from '@nestjs/common';
import { APP_FILTER, APP_GUARD, APP_INTERCEPTOR, DiscoveryModule } from '@nestjs/core';
import { Currencies } from '../config/currencies.ts';
import { AccessTokens } from './access-tokens.ts';
import { IdempotencyInterceptor } from './idempotency.interceptor.ts';
import { IdempotencyRepository } from './idempotency.repository.ts';
import { IdempotencyService } from './idempotency.service.ts';
import { Callers } from './callers.ts';
import { DeviceMarks } from './device-marks.ts';
import { Standings } from './standings.ts';
import { Cursors } from './cursors.ts';
import { ExpansionInterceptor } from './expansion.interceptor.ts';
import { Expansions } from './expansions.ts';
import { PagesInterceptor } from './pages.interceptor.ts';
import { PreparationInterceptor } from './preparation.interceptor.ts';
import { PreferenceInterceptor } from './preference.interceptor.ts';
import { PrincipalGuard } from './principal.guard.ts';
import { ProblemFilter } from './problem.filter.ts';
import { RateLimits } from './rate-limits.ts';

@Global()
@Module({
  imports: [DiscoveryModule],
  providers: [
    Currencies,
    AccessTokens,
    Callers,
    Cursors,
    DeviceMarks,
    Expansions,
    IdempotencyRepository,
    IdempotencyService,
    RateLimits,
    Standings,
    { provide: APP_FILTER, useClass: ProblemFilter },
    { provide: APP_GUARD, useClass: PrincipalGuard },
    { provide: APP_INTERCEPTOR, useClass: PreparationInterceptor },
    { provide: APP_INTERCEPTOR, useClass: IdempotencyInterceptor },
    { provide: APP_INTERCEPTOR, useClass: PreferenceInterceptor },
    { provide: APP_INTERCEPTOR, useClass: PagesInterceptor },
    { provide: APP_INTERCEPTOR, useClass: ExpansionInterceptor },
  ],
  exports: [Currencies, AccessTokens, Cursors, DeviceMarks, RateLimits, Standings],
})
export class HttpModule {}
