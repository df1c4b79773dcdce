import { z } from 'zod';
import { readMailSender, refusalsOfMailUrl } from './mail-url.ts';
import { whole } from './whole.ts';

/** What the service reads of its environment about mail. */
export const mailVariables = {
  MAIL_URL: z
    .string()
    .superRefine((url, context) => {
      for (const message of refusalsOfMailUrl(url)) context.addIssue({ code: 'custom', message });
    })
    .optional()
    .describe(
      'URL of the SMTP server that takes mail: `smtp://` demands STARTTLS, `smtps://` is TLS from the first byte, and `?tls=none` goes without. If empty, no mail is sent; if HOST is a loopback address too, and it is not production, mail is caught and shown at /dev/mail',
    ),
  MAIL_FROM: z
    .string()
    .refine((text) => readMailSender(text) !== null, 'must be an address, or a name with <address> behind it')
    .optional()
    .describe('Sender of mail, as address or name <address>; required with MAIL_URL'),
  MAIL_POLL_INTERVAL_MS: whole(0, 3_600_000)
    .default(1000)
    .describe('Pause between two searches for mail that is due; 0 sends none from this instance'),
  MAIL_TIMEOUT_MS: whole(100, 60_000)
    .default(15_000)
    .describe('How long sending one mail may take in all, from the connection to the answer of the server'),
  MAIL_AT_ONCE: whole(1, 100)
    .default(4)
    .describe('Mails that each instance sends at a time, each on its own connection'),
} as const;
