import { Module } from '@nestjs/common';
import { UsersModule } from '../users/users.module.ts';
import { CaughtMailPages } from './caught-mail-pages.ts';
import { CaughtMails } from './caught-mails.ts';
import { MailSender } from './mail-sender.ts';
import { MailWorker } from './mail-worker.ts';
import { MailsRepository } from './mails.repository.ts';
import { MailsService } from './mails.service.ts';
import { Smtp } from './smtp.ts';

@Module({
  imports: [UsersModule],
  providers: [MailsService, MailsRepository, MailWorker, MailSender, Smtp, CaughtMails, CaughtMailPages],
  exports: [MailsService],
})
export class MailsModule {}
