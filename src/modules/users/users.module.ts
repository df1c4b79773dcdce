import { Module } from '@nestjs/common';
import { CredentialsService } from './credentials.service.ts';
import { UsersController } from './users.controller.ts';
import { UsersRepository } from './users.repository.ts';
import { UsersService } from './users.service.ts';

@Module({
  controllers: [UsersController],
  providers: [UsersService, CredentialsService, UsersRepository],
  exports: [UsersService, CredentialsService],
})
export class UsersModule {}
