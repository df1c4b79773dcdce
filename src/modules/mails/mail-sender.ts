import { Inject, Injectable, Logger } from '@nestjs/common';
import type { Config } from '../../config/config.ts';
import { MailConfig } from '../../config/slices.ts';
import { failureName } from '../../kernel/failure-name.ts';
import { UsersService } from '../users/users.service.ts';
import { CaughtMails } from './caught-mails.ts';
import { htmlOf, plainTextOf, subjectOf } from './mail-content.ts';
import { mailKindOf } from './mail-kind.ts';
import { wordsFor } from './mail-words.ts';
import { failed, failedForGood, isSpent, type LeasedMail, type MailOutcome, sent } from './mail.ts';
import { type MailMessage, Smtp } from './smtp.ts';

/** Writes a mail, to the address that its reader has now, and sends it. */
@Injectable()
export class MailSender {
  private readonly logger = new Logger(MailSender.name);

  constructor(
    private readonly users: UsersService,
    private readonly smtp: Smtp,
    private readonly caught: CaughtMails,
    @Inject(MailConfig.KEY) private readonly config: Config['mail'],
  ) {}

  /** Never rejects. Outside any boundary. */
  async send(mail: LeasedMail): Promise<MailOutcome> {
    if (isSpent(mail)) return failedForGood('abandoned');
    try {
      const reader = await this.users.findContact(mail.userId);
      if (reader === null || reader.isDisabled) return failedForGood('recipient-disabled');
      return await this.deliver(this.write(mail, reader));
    } catch (error) {
      this.logger.error({ err: error, mail: mail.id, kind: mail.kind }, 'a mail could not be written');
      return failed(failureName(error));
    }
  }

  private async deliver(message: MailMessage | null): Promise<MailOutcome> {
    // Another release has defined it, which may be at work beside this one.
    if (message === null) return failed('unknown-kind');
    if (this.config.server !== null) return this.smtp.deliver(this.config.server, message);
    this.caught.add(message);
    return sent;
  }

  private write({ id, kind, data, createdAt }: LeasedMail, reader: Reader): MailMessage | null {
    const { from } = this.config;
    const content = mailKindOf(kind)?.content(data, wordsFor(reader.locale));
    if (content === undefined) return null;
    return {
      // The same each time: whoever gets it twice can tell.
      messageId: `<${id}@${from.address.slice(from.address.lastIndexOf('@') + 1)}>`,
      from,
      to: { name: reader.displayName, address: reader.email },
      subject: subjectOf(content),
      text: plainTextOf(content),
      html: htmlOf(content),
      date: createdAt,
    };
  }
}

interface Reader {
  readonly email: string;
  readonly displayName: string;
  readonly locale: string | null;
}
