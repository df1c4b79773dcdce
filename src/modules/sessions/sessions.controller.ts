import { Controller, Delete, Get, Header, Post, UseGuards } from '@nestjs/common';
import {
  Body,
  Caller,
  Leaver,
  Leaving,
  LogInQuotaGuard,
  Param,
  Public,
  Query,
  Refuses,
  Returns,
  ReturnsNothing,
  SignedIn,
} from '../../http/route.ts';
import type { Principal } from '../../kernel/principal.ts';
import { userProblems } from '../users/users.problems.ts';
import { LogInsService } from './log-ins.service.ts';
import { sessionProblems } from './sessions.problems.ts';
import {
  LogOutRequest,
  NewSession,
  RefreshRequest,
  SessionId,
  SessionPage,
  SessionQuery,
  SessionView,
} from './sessions.schema.ts';
import { SessionsService } from './sessions.service.ts';

@Controller('v1/sessions')
export class SessionsController {
  constructor(
    private readonly logIns: LogInsService,
    private readonly sessions: SessionsService,
  ) {}

  @Post()
  @Public()
  @UseGuards(LogInQuotaGuard)
  @Header('cache-control', 'no-store')
  @Returns(201, SessionView)
  @Refuses(sessionProblems.wrongCredentials, userProblems.disabled)
  logIn(@Body(NewSession) credentials: NewSession) {
    return this.logIns.logIn(credentials);
  }

  @Post('refresh')
  @Public()
  @Header('cache-control', 'no-store')
  @Returns(201, SessionView)
  @Refuses(sessionProblems.invalidRefreshToken)
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
  @Refuses(sessionProblems.notFound)
  endSession(@Caller() caller: Principal, @Param('id', SessionId) id: string) {
    return this.sessions.end(caller, id);
  }
}
