import {
  type BeforeApplicationShutdown,
  Inject,
  Injectable,
  Logger,
  type OnApplicationBootstrap,
} from '@nestjs/common';
import type { Config } from '../../config/config.ts';
import { MailConfig } from '../../config/slices.ts';
import { LeasedWork } from '../../queues/leased-work.ts';
import { unitOfWork } from '../../transactions/unit-of-work.ts';
import { MailSender } from './mail-sender.ts';
import { type LeasedMail, type MailOutcome, pauseAfter } from './mail.ts';
import { MailsRepository } from './mails.repository.ts';

/** Sends the mail that is due. Every instance does; one that dies is taken over when its leases are over. */
@Injectable()
export class MailWorker implements OnApplicationBootstrap, BeforeApplicationShutdown {
  private readonly logger = new Logger(MailWorker.name);
  private readonly work: LeasedWork<LeasedMail>;

  constructor(
    private readonly mails: MailsRepository,
    private readonly sender: MailSender,
    @Inject(MailConfig.KEY) private readonly config: Config['mail'],
  ) {
    this.work = new LeasedWork<LeasedMail>({
      name: MailWorker.name,
      everyMs: config.pollIntervalMs,
      atOnce: config.atOnce,
      limitMs: config.timeoutMs,
      take: (most, leaseMs) => mails.take(most, leaseMs),
      do: (mail) => this.send(mail),
    });
  }

  onApplicationBootstrap(): void {
    if (this.config.pollIntervalMs === 0) return;
    if (this.config.goes === 'nowhere') this.logger.warn('MAIL_URL is not set: no mail is sent');
    else this.work.start();
  }

  /** Waits for the mails in hand, each of which has its time limit. */
  beforeApplicationShutdown(): Promise<void> {
    return this.work.stop();
  }

  wake(): void {
    this.work.wake();
  }

  private async send(mail: LeasedMail): Promise<void> {
    const outcome = await this.sender.send(mail);
    try {
      await unitOfWork('MailWorker.note', () => this.note(mail, outcome));
    } catch (error) {
      // It is sent again when its lease is over.
      this.logger.warn({ err: error, mail: mail.id }, 'what became of a mail could not be stored');
    }
  }

  // Neither address nor words of the server, which may repeat it.
  private note(mail: LeasedMail, outcome: MailOutcome): Promise<void> {
    const { error } = outcome;
    if (error === null) return this.mails.finish(mail);
    const pauseMs = pauseAfter(mail, outcome);
    const line = { mail: mail.id, kind: mail.kind, error, attempts: mail.attempts };
    if (pauseMs === null) this.logger.error(line, 'a mail was given up');
    else this.logger.warn(line, 'a mail could not be sent, and is tried again');
    return this.mails.fail(mail, error, pauseMs);
  }
}
