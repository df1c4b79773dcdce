import { Controller, Get, Patch, Post, UseGuards } from '@nestjs/common';
import { currencyProblems } from '../../config/currency.problems.ts';
import {
  Body,
  Caller,
  type ExpectedVersion,
  Idempotent,
  IfMatch,
  NeedsIfMatch,
  Param,
  PasswordQuota,
  Prepared,
  Prepares,
  Public,
  Refuses,
  Returns,
  ReturnsCreated,
  SignUpQuotaGuard,
  SignedIn,
} from '../../http/route.ts';
import type { Principal } from '../../kernel/principal.ts';
import { hashNewPassword, type PasswordHash } from './passwords.ts';
import { UserId, UserView } from './user.ts';
import { userProblems } from './users.problems.ts';
import { NewUser, UserPatch } from './users.schema.ts';
import { UsersService } from './users.service.ts';

@Controller('v1/users')
export class UsersController {
  constructor(private readonly users: UsersService) {}

  @Post()
  @Public()
  @UseGuards(SignUpQuotaGuard)
  @Idempotent('optional')
  @ReturnsCreated(UserView, '/v1/users')
  @Refuses(userProblems.emailTaken, userProblems.weakPassword, currencyProblems.notAccepted)
  @Prepares(NewUser, ({ password, email, profile }) => hashNewPassword(password, { email, ...profile }))
  signUp(@Body(NewUser) user: NewUser, @Prepared() passwordHash: PasswordHash) {
    return this.users.signUp(user, passwordHash);
  }

  @Get('me')
  @SignedIn()
  @Returns(200, UserView)
  @Refuses(userProblems.notFound)
  getMe(@Caller() caller: Principal) {
    return this.users.get(caller, caller.userId);
  }

  @Get(':id')
  @SignedIn()
  @Returns(200, UserView)
  @Refuses(userProblems.notFound)
  getUser(@Caller() caller: Principal, @Param('id', UserId) id: string) {
    return this.users.get(caller, id);
  }

  @Patch(':id')
  @SignedIn()
  @UseGuards(PasswordQuota)
  @NeedsIfMatch()
  @Returns(200, UserView)
  @Refuses(userProblems.notFound, userProblems.emailTaken, userProblems.passwordNeeded, userProblems.wrongPassword)
  editUser(
    @Caller() caller: Principal,
    @Param('id', UserId) id: string,
    @IfMatch() version: ExpectedVersion,
    @Body(UserPatch) patch: UserPatch,
  ) {
    return this.users.edit(caller, id, version, patch);
  }
}
