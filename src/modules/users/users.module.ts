import { Module } from '@nestjs/common';
import { SessionsController } from './sessions.controller.ts';
import { SessionsRepository } from './sessions.repository.ts';
import { SessionsService } from './sessions.service.ts';
import { UsersController } from './users.controller.ts';
import { UsersRepository } from './users.repository.ts';
import { UsersService } from './users.service.ts';

@Module({
  controllers: [UsersController, SessionsController],
  providers: [UsersService, UsersRepository, SessionsService, SessionsRepository],
  exports: [UsersService],
})
export class UsersModule {}
