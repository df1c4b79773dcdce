import { Module } from '@nestjs/common';
import { UsersModule } from '../users/users.module.ts';
import { LogInsService } from './log-ins.service.ts';
import { SessionTokens } from './session-tokens.ts';
import { SessionsController } from './sessions.controller.ts';
import { SessionsRepository } from './sessions.repository.ts';
import { SessionsService } from './sessions.service.ts';

@Module({
  imports: [UsersModule],
  controllers: [SessionsController],
  providers: [SessionsService, LogInsService, SessionTokens, SessionsRepository],
  exports: [SessionsService],
})
export class SessionsModule {}
