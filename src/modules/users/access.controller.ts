import { Controller, Delete, Get, Patch } from '@nestjs/common';
import { type ExpectedVersion, IfMatch, NeedsIfMatch } from '../../http/if-match.ts';
import { Body, Param, Query } from '../../http/input.ts';
import { Caller, OperatorsOnly } from '../../http/principal.ts';
import { Refuses } from '../../http/refuses.ts';
import { Returns, ReturnsNothing } from '../../http/returns.ts';
import type { Principal } from '../../kernel/principal.ts';
import { AccessPatch, UserChangePage, UserChangeQuery } from './access.schema.ts';
import { AccessService } from './access.service.ts';
import { UserId, UserView } from './users.schema.ts';

@Controller('v1/users/:id')
export class AccessController {
  constructor(private readonly access: AccessService) {}

  @Patch('access')
  @OperatorsOnly()
  @NeedsIfMatch()
  @Returns(200, UserView)
  @Refuses('user-not-found', 'own-access')
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
  @Refuses('user-not-found')
  endSessionsOf(@Caller() caller: Principal, @Param('id', UserId) id: string) {
    return this.access.endSessions(caller, id);
  }

  @Get('changes')
  @OperatorsOnly()
  @Returns(200, UserChangePage)
  @Refuses('user-not-found')
  listUserChanges(@Param('id', UserId) id: string, @Query(UserChangeQuery) query: UserChangeQuery) {
    return this.access.listChanges(id, query);
  }
}
