import { Controller, Delete, Get, Header, Post, UseGuards } from '@nestjs/common';
import { Body, Param, Query } from '../../http/input.ts';
import { LogInQuota } from '../../http/quotas.guard.ts';
import { Caller, Leaver, Leaving, Public, SignedIn } from '../../http/principal.ts';
import { Refuses } from '../../http/refuses.ts';
import { Returns, ReturnsNothing } from '../../http/returns.ts';
import type { Principal } from '../../kernel/principal.ts';
import {
  LogOutRequest,
  NewSession,
  RefreshRequest,
  SessionId,
  SessionPage,
  SessionQuery,
  SessionView,
} from './sessions.schema.ts';
import { LogInsService } from './log-ins.service.ts';
import { SessionsService } from './sessions.service.ts';

@Controller('v1/sessions')
export class SessionsController {
  constructor(
    private readonly logIns: LogInsService,
    private readonly sessions: SessionsService,
  ) {}

  @Post()
  @Public()
  @UseGuards(LogInQuota)
  @Header('cache-control', 'no-store')
  @Returns(201, SessionView)
  @Refuses('wrong-credentials', 'user-disabled')
  logIn(@Body(NewSession) credentials: NewSession) {
    return this.logIns.logIn(credentials);
  }

  @Post('refresh')
  @Public()
  @Header('cache-control', 'no-store')
  @Returns(201, SessionView)
  @Refuses('invalid-refresh-token')
  refreshSession(@Body(RefreshRequest) request: RefreshRequest) {
    return this.sessions.refresh(request);
  }

  @Get()
  @SignedIn()
  @Returns(200, SessionPage)
  listSessions(@Caller() caller: Principal, @Query(SessionQuery) query: SessionQuery) {
    return this.sessions.list(caller, query);
  }

  @Delete()
  @SignedIn()
  @ReturnsNothing()
  endOtherSessions(@Caller() caller: Principal) {
    return this.sessions.endOthers(caller);
  }

  @Delete('current')
  @Leaving()
  @ReturnsNothing()
  logOut(@Leaver() leaver: Principal | null, @Body(LogOutRequest) request: LogOutRequest) {
    return this.sessions.logOut(leaver, request);
  }

  @Delete(':id')
  @SignedIn()
  @ReturnsNothing()
  @Refuses('session-not-found')
  endSession(@Caller() caller: Principal, @Param('id', SessionId) id: string) {
    return this.sessions.end(caller, id);
  }
}
