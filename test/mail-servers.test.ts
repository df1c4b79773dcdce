/** @servers any */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { SMTPServerOptions } from 'smtp-server';
import type { Config } from '../src/config/config.ts';
import { readMailUrl } from '../src/config/mail-url.ts';
import { Smtp } from '../src/modules/mails/smtp.ts';
import { authority, type Certificate, ofServer } from './support/certificates.ts';
import { type MailServer, startMailServer } from './support/mail-server.ts';

// Whom mail, and a password, is handed to.

const folder = mkdtempSync(join(tmpdir(), 'holdfast-mail-'));
const file = join(folder, 'ca.pem');
const open: MailServer[] = [];
let ca: Certificate;
let own: Certificate;
let foreign: Certificate;
beforeAll(async () => {
  const [known, unknown] = await Promise.all([authority('holdfast test'), authority('somebody else')]);
  ca = known;
  [own, foreign] = await Promise.all([ofServer(ca, 'localhost'), ofServer(unknown, 'localhost')]);
  writeFileSync(file, ca.cert);
});
afterEach(async () => {
  for (const one of open.splice(0)) await one.close();
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const passwords: string[] = [];
const withLogin: SMTPServerOptions = {
  disabledCommands: [],
  onAuth: ({ username, password }, _, done) => {
    passwords.push(password ?? '');
    if (password === 'right/p@ss') done(null, { user: username });
    else done(Object.assign(new Error('no'), { responseCode: 535 }));
  },
};
async function start(options: SMTPServerOptions): Promise<MailServer> {
  const server = await startMailServer(options);
  open.push(server);
  return server;
}
const to = 'ada@example.com';
async function deliver(url: string) {
  const server = readMailUrl(url);
  if (typeof server === 'string') throw new Error(server);
  return new Smtp({ timeoutMs: 2000 } as Config['mail']).deliver(server, {
    messageId: '<1@shop.example>',
    from: { name: 'Shop', address: 'orders@shop.example' },
    to: { name: 'Ada', address: to },
    subject: 'Hello',
    text: 'Hello',
    html: '<p>Hello</p>',
    date: new Date(0),
  });
}
const trusting = `sslrootcert=${encodeURIComponent(file)}`;
const login = `shop:${encodeURIComponent('right/p@ss')}`;

describe('mail is handed over', () => {
  it.each([
    ['by STARTTLS', 'smtp', () => ({ ...withLogin, ...own })],
    ['by TLS from the first byte', 'smtps', () => ({ ...withLogin, ...own, secure: true })],
  ])('%s, to a server whose certificate is signed by whom the URL names', async (_, scheme, options) => {
    const server = await start(options());
    const url = `${scheme}://${login}@localhost:${server.port}?${trusting}`;
    expect(await deliver(url)).toEqual({ error: null, isFinal: false });
    expect(server.to(to)).toHaveLength(1);
  });

  it('without TLS only where the URL says so', async () => {
    const server = await start({});
    expect(await deliver(`smtp://localhost:${server.port}?tls=none`)).toMatchObject({ error: null });
    expect(await deliver(`smtp://localhost:${server.port}`)).toEqual({
      error: 'connection 500',
      isFinal: false,
    });
    expect(server.to(to)).toHaveLength(1);
  });
});

describe('neither mail nor password is handed to a server', () => {
  beforeEach(() => passwords.splice(0));

  it.each([
    ['whose certificate nobody trusts', 'smtp', () => ({ ...withLogin, ...foreign })],
    [
      'whose certificate nobody trusts, by TLS from the first byte',
      'smtps',
      () => ({ ...withLogin, ...foreign, secure: true }),
    ],
  ])('%s', async (_, scheme, options) => {
    const server = await start(options());
    for (const query of ['', `?${trusting}`]) {
      const outcome = await deliver(`${scheme}://${login}@localhost:${server.port}${query}`);
      expect(outcome).toMatchObject({
        error: expect.stringMatching(/^(ETLS|ESOCKET|[A-Z_]*CERT[A-Z_]*)$/),
        isFinal: false,
      });
    }
    expect([server.to(to), passwords]).toEqual([[], []]);
  });

  it('that has a certificate of another name', async () => {
    const server = await start({ ...withLogin, ...(await ofServer(ca, 'other.example')) });
    const outcome = await deliver(`smtp://${login}@localhost:${server.port}?${trusting}`);
    expect(outcome).toMatchObject({ error: expect.any(String), isFinal: false });
    expect([server.to(to), passwords]).toEqual([[], []]);
  });

  it('that does not let us in; it is tried again once our password is mended', async () => {
    const server = await start({ ...withLogin, ...own });
    const outcome = await deliver(`smtp://shop:wrong@localhost:${server.port}?${trusting}`);
    expect(outcome).toEqual({ error: 'connection 535', isFinal: false });
    const open = await start({ ...own, authOptional: true });
    expect(await deliver(`smtp://${login}@localhost:${open.port}?${trusting}`)).toMatchObject({ isFinal: false });
    expect([server.to(to), open.to(to)]).toEqual([[], []]);
  });
});
