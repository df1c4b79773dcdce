import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { text } from 'node:stream/consumers';
import { SMTPServer, type SMTPServerOptions } from 'smtp-server';
import { eventually } from './crowd.ts';

export interface ReceivedMail {
  readonly recipients: readonly string[];
  readonly headers: ReadonlyMap<string, string>;
  readonly plain: string;
  readonly html: string;
}

/** Answers the last line of a mail, by calling it: without an error it is taken. */
type Answer = (done: (error?: Error) => void) => void;

/** As servers do, it repeats the address. */
export const refusal = (responseCode: number, address: string): Error =>
  Object.assign(new Error(`<${address}> is refused`), { responseCode });

/** An SMTP server: keeps what it takes, and refuses, hangs or dawdles for an address as the test says. */
export async function startMailServer(options: SMTPServerOptions = {}) {
  const received: ReceivedMail[] = [];
  const refused = new Map<string, number>();
  const answers = new Map<string, Answer>();
  const server = new SMTPServer({
    disabledCommands: ['AUTH', 'STARTTLS'],
    closeTimeout: 100,
    ...options,
    onRcptTo: ({ address }, _, done) => {
      const code = refused.get(address);
      done(code === undefined ? null : refusal(code, address));
    },
    onData: (stream, { envelope }, done) => {
      void text(stream).then((raw) => {
        const recipients = envelope.rcptTo.map(({ address }) => address);
        const answer = answers.get(recipients[0] ?? '') ?? ((taken) => taken());
        answer((error) => {
          if (error === undefined) received.push({ recipients, ...parsed(raw) });
          done(error ?? null);
        });
      });
    },
  });
  // A client that breaks off is what some tests are about.
  server.on('error', () => undefined);
  server.listen(0, '127.0.0.1');
  await once(server.server, 'listening');
  const { port } = server.server.address() as AddressInfo;
  const to = (address: string) => received.filter(({ recipients }) => recipients.includes(address));
  return {
    port,
    url: `smtp://127.0.0.1:${port}?tls=none`,
    /** Refuses the address with this code; takes it again with null. */
    refuse: (address: string, code: number | null) =>
      code === null ? refused.delete(address) : refused.set(address, code),
    answer: (address: string, answer: Answer) => answers.set(address, answer),
    to,
    /** Waits until so many have come to the address. */
    come: (address: string, count = 1) =>
      eventually(
        async () => to(address),
        (mails) => mails.length >= count,
      ),
    close: () => new Promise<void>((resolve) => server.close(() => resolve())),
  };
}
export type MailServer = Awaited<ReturnType<typeof startMailServer>>;

function parsed(raw: string): Omit<ReceivedMail, 'recipients'> {
  const { headers, body } = entityOf(raw);
  const boundary = /boundary="([^"]+)"/.exec(headers.get('content-type') ?? '')?.[1] ?? '';
  const parts = body.split(`--${boundary}`).map((part) => entityOf(part.trimStart()));
  const partOf = (type: string) => parts.find((part) => part.headers.get('content-type')?.startsWith(type));
  return { headers, plain: decoded(partOf('text/plain')), html: decoded(partOf('text/html')) };
}

interface MimePart {
  readonly headers: ReadonlyMap<string, string>;
  readonly body: string;
}

function entityOf(raw: string): MimePart {
  const end = raw.indexOf('\r\n\r\n');
  const lines = raw
    .slice(0, end)
    .replaceAll(/\r\n[ \t]+/g, ' ')
    .split('\r\n');
  const headers = lines.map((line): [string, string] => {
    const colon = line.indexOf(':');
    return [line.slice(0, colon).toLowerCase(), line.slice(colon + 1).trim()];
  });
  return { headers: new Map(headers), body: raw.slice(end + 4) };
}

function decoded(part: MimePart | undefined): string {
  if (part === undefined) return '';
  const encoding = part.headers.get('content-transfer-encoding');
  if (encoding === 'base64') return Buffer.from(part.body, 'base64').toString();
  if (encoding !== 'quoted-printable') return part.body.replaceAll('\r\n', '\n');
  const bytes = part.body
    .replaceAll('=\r\n', '')
    .replaceAll(/=([0-9A-F]{2})/g, (_, digits: string) => String.fromCharCode(Number.parseInt(digits, 16)));
  return Buffer.from(bytes, 'latin1').toString().replaceAll('\r\n', '\n');
}
