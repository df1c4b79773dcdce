import { Controller, Delete, Get, Patch } from '@nestjs/common';
import {
  Body,
  Caller,
  type ExpectedVersion,
  IfMatch,
  NeedsIfMatch,
  OperatorsOnly,
  Param,
  Query,
  Refuses,
  Returns,
  ReturnsNothing,
} from '../../http/route.ts';
import type { Principal } from '../../kernel/principal.ts';
import { UserId, UserView } from '../users/user.ts';
import { userProblems } from '../users/users.problems.ts';
import { accessProblems } from './access.problems.ts';
import { AccessPatch, UserChangePage, UserChangeQuery } from './access.schema.ts';
import { AccessService } from './access.service.ts';

@Controller('v1/users/:id')
export class AccessController {
  constructor(private readonly access: AccessService) {}

  @Patch('access')
  @OperatorsOnly()
  @NeedsIfMatch()
  @Returns(200, UserView)
  @Refuses(userProblems.notFound, accessProblems.ownAccess)
  changeAccess(
    @Caller() caller: Principal,
    @Param('id', UserId) id: string,
    @IfMatch() version: ExpectedVersion,
    @Body(AccessPatch) patch: AccessPatch,
  ) {
    return this.access.change(caller, id, version, patch);
  }

  @Delete('sessions')
  @OperatorsOnly()
  @ReturnsNothing()
  @Refuses(userProblems.notFound)
  endSessionsOf(@Caller() caller: Principal, @Param('id', UserId) id: string) {
    return this.access.endSessions(caller, id);
  }

  @Get('changes')
  @OperatorsOnly()
  @Returns(200, UserChangePage)
  @Refuses(userProblems.notFound)
  listUserChanges(
    @Caller() caller: Principal,
    @Param('id', UserId) id: string,
    @Query(UserChangeQuery) query: UserChangeQuery,
  ) {
    return this.access.listChanges(caller, id, query);
  }
}
