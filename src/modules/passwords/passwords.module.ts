import { Module } from '@nestjs/common';
import { SessionsModule } from '../sessions/sessions.module.ts';
import { UsersModule } from '../users/users.module.ts';
import { PasswordResetsRepository } from './password-resets.repository.ts';
import { PasswordsController } from './passwords.controller.ts';
import { PasswordsService } from './passwords.service.ts';

@Module({
  imports: [UsersModule, SessionsModule],
  controllers: [PasswordsController],
  providers: [PasswordsService, PasswordResetsRepository],
  exports: [PasswordsService],
})
export class PasswordsModule {}
