/** @servers any */
import type { SMTPServerOptions } from 'smtp-server';
import { startApp, type TestApp } from './support/app.ts';
import { eventually } from './support/crowd.ts';
import { type MailServer, startMailServer } from './support/mail-server.ts';
import { makers } from './support/make.ts';
import { buildService, killServices, startService } from './support/process.ts';
import { testSecret } from './support/secret.ts';

let home: TestApp;
let server: MailServer;
beforeAll(async () => {
  await buildService();
  home = await startApp();
  server = await startMailServer(withLogin);
});
afterEach(killServices);
afterAll(async () => {
  await server.close();
  await home.close();
});

const password = 'hunter2-hunter2';
const withLogin: SMTPServerOptions = {
  disabledCommands: ['STARTTLS'],
  allowInsecureAuth: true,
  onAuth: (given, _, done) => done(given.password === password ? null : new Error('no'), { user: 'shop' }),
};

it('a mail whose sender is killed after the server took it, and before it is marked, comes at most once more, as the same', async () => {
  const start = () =>
    startService({
      DATABASE_WRITE_URL: home.database.urls.app,
      DATABASE_READ_URL: home.database.urls.reader,
      AUTH_SECRET: testSecret,
      MAIL_URL: `smtp://shop:${password}@127.0.0.1:${server.port}?tls=none`,
      MAIL_FROM: 'Shop <orders@shop.example>',
      MAIL_POLL_INTERVAL_MS: '100',
      LOG_LEVEL: 'debug',
    });
  const first = start();
  await first.url;
  const make = makers(home);
  const buyer = await make.user({ balance: 100_000 });
  server.answer(buyer.email, (done) => {
    // It is taken, and nobody is left to hear it.
    first.kill('SIGKILL');
    void first.exit.then(() => done());
  });
  await make.order(buyer, [await make.sku(10, 1299)]);
  await first.exit;
  await server.come(buyer.email);
  const rows = () =>
    home.database.query<{ sent: boolean; later: boolean }>(
      `SELECT sent_at IS NOT NULL AS sent, coalesce(due_at > now(), false) AS later FROM mail`,
    );
  expect(await rows()).toEqual([{ sent: false, later: true }]);
  server.answer(buyer.email, (done) => done());

  const second = start();
  await second.url;
  // The lease of the first one is over.
  await home.database.query('UPDATE mail SET due_at = now()');
  await eventually(rows, ([row]) => row?.sent === true);
  const mails = server.to(buyer.email);
  expect(mails).toHaveLength(2);
  expect(mails[1]!.headers.get('message-id')).toBe(mails[0]!.headers.get('message-id'));
  expect(mails[1]!.headers.get('date')).toBe(mails[0]!.headers.get('date'));
  second.kill('SIGTERM');
  await second.exit;
  const told = [first, second].flatMap((one) => [one.said(), ...one.logged()]).join('\n');
  expect(told).not.toMatch(new RegExp(`${password}|${buyer.email}`));
});

it('a start in production without a server says that no mail is sent', async () => {
  const service = startService({
    NODE_ENV: 'production',
    DATABASE_WRITE_URL: home.database.urls.app,
    DATABASE_READ_URL: home.database.urls.reader,
    AUTH_SECRET: testSecret,
  });
  await service.url;
  expect(service.logged().join('\n')).toContain('MAIL_URL is not set: no mail is sent');
});
