import { Controller, Delete, Header, Post, UseGuards } from '@nestjs/common';
import { Body } from '../../http/input.ts';
import { LogInQuota } from '../../http/log-in-quota.guard.ts';
import { Caller, Public, SignedIn } from '../../http/principal.ts';
import { Refuses } from '../../http/refuses.ts';
import { Returns, ReturnsNothing } from '../../http/returns.ts';
import type { Principal } from '../../kernel/principal.ts';
import { NewSession, RefreshRequest, SessionView } from './sessions.schema.ts';
import { SessionsService } from './sessions.service.ts';

@Controller('v1/sessions')
export class SessionsController {
  constructor(private readonly sessions: SessionsService) {}

  @Post()
  @Public()
  @UseGuards(LogInQuota)
  @Header('cache-control', 'no-store')
  @Returns(201, SessionView)
  @Refuses('wrong-credentials')
  logIn(@Body(NewSession) credentials: NewSession) {
    return this.sessions.logIn(credentials);
  }

  @Post('refresh')
  @Public()
  @Header('cache-control', 'no-store')
  @Returns(201, SessionView)
  @Refuses('invalid-refresh-token')
  refreshSession(@Body(RefreshRequest) request: RefreshRequest) {
    return this.sessions.refresh(request);
  }

  @Delete('current')
  @SignedIn()
  @ReturnsNothing()
  logOut(@Caller() caller: Principal) {
    return this.sessions.logOut(caller);
  }
}
