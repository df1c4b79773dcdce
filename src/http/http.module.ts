import { Global, Module } from '@nestjs/common';
import { APP_FILTER, APP_GUARD } from '@nestjs/core';
import { Clock } from '../kernel/clock.ts';
import { AccessTokens } from './access-tokens.ts';
import { PrincipalGuard } from './principal.guard.ts';
import { ProblemFilter } from './problem.filter.ts';

@Global()
@Module({
  providers: [
    Clock,
    AccessTokens,
    { provide: APP_FILTER, useClass: ProblemFilter },
    { provide: APP_GUARD, useClass: PrincipalGuard },
  ],
  exports: [Clock, AccessTokens],
})
export class HttpModule {}
