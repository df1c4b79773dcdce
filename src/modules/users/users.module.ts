import { Module } from '@nestjs/common';
import { AccessController } from './access.controller.ts';
import { AccessService } from './access.service.ts';
import { CredentialsRepository } from './credentials.repository.ts';
import { LogInsService } from './log-ins.service.ts';
import { PasswordResetsRepository } from './password-resets.repository.ts';
import { PasswordsController } from './passwords.controller.ts';
import { PasswordsService } from './passwords.service.ts';
import { SessionTokens } from './session-tokens.ts';
import { SessionsController } from './sessions.controller.ts';
import { SessionsRepository } from './sessions.repository.ts';
import { SessionsService } from './sessions.service.ts';
import { UserChangesRepository } from './user-changes.repository.ts';
import { UsersController } from './users.controller.ts';
import { UsersRepository } from './users.repository.ts';
import { UsersService } from './users.service.ts';

@Module({
  controllers: [UsersController, AccessController, PasswordsController, SessionsController],
  providers: [
    UsersService,
    UsersRepository,
    UserChangesRepository,
    AccessService,
    PasswordsService,
    PasswordResetsRepository,
    LogInsService,
    SessionsService,
    SessionTokens,
    SessionsRepository,
    CredentialsRepository,
  ],
  exports: [UsersService],
})
export class UsersModule {}
