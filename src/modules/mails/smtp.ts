import { Inject, Injectable } from '@nestjs/common';
import type { Config } from '../../config/config.ts';
import type { MailServer } from '../../config/mail-url.ts';
import { MailConfig } from '../../config/slices.ts';
import { TlsFiles } from '../../config/tls-files.ts';
import { failureName } from '../../kernel/failure-name.ts';
import { failed, failedForGood, type MailOutcome, sent } from './mail.ts';

/** A mail as it goes out. */
export interface MailMessage {
  readonly messageId: string;
  readonly from: { readonly name: string; readonly address: string };
  readonly to: { readonly name: string; readonly address: string };
  readonly subject: string;
  readonly text: string;
  readonly html: string;
  readonly date: Date;
}

/** Hands mail to the server of MAIL_URL, each on a connection of its own, within a bounded time. */
@Injectable()
export class Smtp {
  constructor(@Inject(MailConfig.KEY) private readonly config: Config['mail']) {}

  /** Rejects for a mistake of ours alone. Outside any boundary. */
  async deliver(server: MailServer, message: MailMessage): Promise<MailOutcome> {
    try {
      const transport = await transportTo(server);
      await transport.sendMail({
        ...message,
        // It writes into what it is given.
        from: { ...message.from },
        to: { ...message.to },
        headers: { 'Auto-Submitted': 'auto-generated' },
        // Over all of it: the look-up, the connection, the answer to the last line.
        signal: AbortSignal.timeout(this.config.timeoutMs),
      });
      return sent;
    } catch (error) {
      return outcomeOf(error);
    }
  }
}

async function transportTo({ host, port, encryption, tls, login }: MailServer) {
  // With the first mail, not with the service: it would take a tenth of a start.
  const { createTransport } = await import('nodemailer');
  return createTransport({
    host,
    port,
    secure: encryption === 'implicit',
    requireTLS: encryption === 'starttls',
    ignoreTLS: encryption === null,
    ...(tls !== null && { tls: new TlsFiles(tls).options() }),
    ...(login !== null && { auth: { user: login.user, pass: login.password }, forceAuth: true }),
    // A part of a mail is never a path or a URL.
    disableFileAccess: true,
    disableUrlAccess: true,
  });
}

/** What nodemailer says of a failure; all of it may be missing. */
interface SmtpFailure {
  readonly code?: string;
  readonly responseCode?: number;
  readonly command?: string;
}

const commandsOfAMail = ['MAIL FROM', 'RCPT TO', 'DATA'];
const mustLogIn = 530;

/** A refusal of this mail is final; one of ourselves, as of our password, is mended by people, and no reason to drop mail. */
function outcomeOf(error: unknown): MailOutcome {
  const { code, responseCode, command = '' } = error as SmtpFailure;
  if (code === undefined) throw error;
  if (responseCode === undefined) return failed(failureName(error));
  const isOfThisMail = commandsOfAMail.includes(command) && responseCode !== mustLogIn;
  const name = `${isOfThisMail ? command : 'connection'} ${responseCode}`;
  return isOfThisMail && responseCode >= 500 && responseCode !== 503 ? failedForGood(name) : failed(name);
}
