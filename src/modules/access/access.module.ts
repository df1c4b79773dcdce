import { Module } from '@nestjs/common';
import { PasswordsModule } from '../passwords/passwords.module.ts';
import { SessionsModule } from '../sessions/sessions.module.ts';
import { UsersModule } from '../users/users.module.ts';
import { AccessController } from './access.controller.ts';
import { AccessService } from './access.service.ts';

@Module({
  imports: [UsersModule, PasswordsModule, SessionsModule],
  controllers: [AccessController],
  providers: [AccessService],
})
export class AccessModule {}
