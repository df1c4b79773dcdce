import { Controller, Header, Post, UseGuards } from '@nestjs/common';
import { Body, Param } from '../../http/input.ts';
import { Caller, OperatorsOnly, Public, SignedIn } from '../../http/principal.ts';
import { AddressQuota, PasswordQuota } from '../../http/quotas.guard.ts';
import { Refuses } from '../../http/refuses.ts';
import { Returns, ReturnsNothing } from '../../http/returns.ts';
import type { Principal } from '../../kernel/principal.ts';
import { NewPassword, PasswordChange, PasswordResetView } from './passwords.schema.ts';
import { PasswordsService } from './passwords.service.ts';
import { UserId } from './users.schema.ts';

@Controller('v1')
export class PasswordsController {
  constructor(private readonly passwords: PasswordsService) {}

  @Post('users/me/password')
  @SignedIn()
  @UseGuards(PasswordQuota)
  @ReturnsNothing()
  @Refuses('wrong-password', 'weak-password', 'user-not-found')
  changePassword(@Caller() caller: Principal, @Body(PasswordChange) change: PasswordChange) {
    return this.passwords.change(caller, change);
  }

  @Post('users/:id/password-resets')
  @OperatorsOnly()
  @Header('cache-control', 'no-store')
  @Returns(201, PasswordResetView)
  @Refuses('user-not-found')
  createPasswordReset(@Caller() caller: Principal, @Param('id', UserId) id: string) {
    return this.passwords.makeReset(caller, id);
  }

  @Post('password-resets')
  @Public()
  @UseGuards(AddressQuota)
  @ReturnsNothing()
  @Refuses('invalid-reset-token', 'weak-password')
  resetPassword(@Body(NewPassword) request: NewPassword) {
    return this.passwords.reset(request);
  }
}
