import { Inject, Injectable } from '@nestjs/common';
import type { Config } from '../../config/config.ts';
import { MailConfig } from '../../config/slices.ts';
import { afterCommit } from '../../transactions/hooks.ts';
import { Transactional } from '../../transactions/transactional.ts';
import type { NewMail } from './mail-kind.ts';
import { MailWorker } from './mail-worker.ts';
import { MailsRepository } from './mails.repository.ts';

/** Has mail sent, by the modules that have something to say. */
@Injectable()
export class MailsService {
  constructor(
    private readonly mails: MailsRepository,
    private readonly worker: MailWorker,
    @Inject(MailConfig.KEY) private readonly config: Config['mail'],
  ) {}

  /** Whether mail goes anywhere. Where it does not, none is stored: nothing old is sent when it does one day. */
  get isOn(): boolean {
    return this.config.goes !== 'nowhere';
  }

  /**
   * Stores a mail with the running boundary; it is sent when that was committed, at least once. One for the same event and of the same kind is
   * stored once. Throws TransactionRequiredError outside a boundary.
   */
  @Transactional({ propagation: 'mandatory' })
  async enqueue(mail: NewMail): Promise<void> {
    if (!this.isOn) return;
    await this.mails.create(mail, this.config.keepSeconds);
    afterCommit(() => this.worker.wake());
  }
}
