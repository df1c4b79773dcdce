import { Controller, Get, Patch, Post, UseGuards } from '@nestjs/common';
import { Idempotent } from '../../http/idempotency.ts';
import { type ExpectedVersion, IfMatch, NeedsIfMatch } from '../../http/if-match.ts';
import { Body, Param } from '../../http/input.ts';
import { Prepared, Prepares } from '../../http/preparation.interceptor.ts';
import { Caller, Public, SignedIn } from '../../http/principal.ts';
import { PasswordQuota, SignUpQuota } from '../../http/quotas.guard.ts';
import { Refuses } from '../../http/refuses.ts';
import { Returns, ReturnsCreated } from '../../http/returns.ts';
import type { Principal } from '../../kernel/principal.ts';
import { hashNewPassword, type PasswordHash } from './passwords.ts';
import { NewUser, UserId, UserPatch, UserView } from './users.schema.ts';
import { UsersService } from './users.service.ts';

@Controller('v1/users')
export class UsersController {
  constructor(private readonly users: UsersService) {}

  @Post()
  @Public()
  @UseGuards(SignUpQuota)
  @Idempotent('optional')
  @ReturnsCreated(UserView, '/v1/users')
  @Refuses('email-taken', 'weak-password', 'currency-not-accepted')
  @Prepares(NewUser, ({ password, email, profile }) => hashNewPassword(password, { email, ...profile }))
  signUp(@Body(NewUser) user: NewUser, @Prepared() passwordHash: PasswordHash) {
    return this.users.signUp(user, passwordHash);
  }

  @Get('me')
  @SignedIn()
  @Returns(200, UserView)
  @Refuses('user-not-found')
  getMe(@Caller() caller: Principal) {
    return this.users.get(caller, caller.userId);
  }

  @Get(':id')
  @SignedIn()
  @Returns(200, UserView)
  @Refuses('user-not-found')
  getUser(@Caller() caller: Principal, @Param('id', UserId) id: string) {
    return this.users.get(caller, id);
  }

  @Patch(':id')
  @SignedIn()
  @UseGuards(PasswordQuota)
  @NeedsIfMatch()
  @Returns(200, UserView)
  @Refuses('user-not-found', 'email-taken', 'password-needed', 'wrong-password')
  editUser(
    @Caller() caller: Principal,
    @Param('id', UserId) id: string,
    @IfMatch() version: ExpectedVersion,
    @Body(UserPatch) patch: UserPatch,
  ) {
    return this.users.edit(caller, id, version, patch);
  }
}
