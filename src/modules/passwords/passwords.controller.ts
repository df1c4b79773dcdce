import { Controller, Header, Post, UseGuards } from '@nestjs/common';
import {
  AddressQuota,
  Body,
  Caller,
  OperatorsOnly,
  Param,
  PasswordQuota,
  Public,
  Refuses,
  Returns,
  ReturnsNothing,
  SignedIn,
} from '../../http/route.ts';
import type { Principal } from '../../kernel/principal.ts';
import { UserId } from '../users/user.ts';
import { userProblems } from '../users/users.problems.ts';
import { passwordProblems } from './passwords.problems.ts';
import { NewPassword, PasswordChange, PasswordResetView } from './passwords.schema.ts';
import { PasswordsService } from './passwords.service.ts';

@Controller('v1')
export class PasswordsController {
  constructor(private readonly passwords: PasswordsService) {}

  @Post('users/me/password')
  @SignedIn()
  @UseGuards(PasswordQuota)
  @ReturnsNothing()
  @Refuses(userProblems.wrongPassword, userProblems.weakPassword, userProblems.notFound)
  changePassword(@Caller() caller: Principal, @Body(PasswordChange) change: PasswordChange) {
    return this.passwords.change(caller, change);
  }

  @Post('users/:id/password-resets')
  @OperatorsOnly()
  @Header('cache-control', 'no-store')
  @Returns(201, PasswordResetView)
  @Refuses(userProblems.notFound)
  createPasswordReset(@Caller() caller: Principal, @Param('id', UserId) id: string) {
    return this.passwords.makeReset(caller, id);
  }

  @Post('password-resets')
  @Public()
  @UseGuards(AddressQuota)
  @ReturnsNothing()
  @Refuses(passwordProblems.invalidResetToken, userProblems.weakPassword)
  resetPassword(@Body(NewPassword) request: NewPassword) {
    return this.passwords.reset(request);
  }
}
