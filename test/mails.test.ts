import { setTimeout as sleep } from 'node:timers/promises';
import { MailsService } from '../src/modules/mails/mails.service.ts';
import { orderConfirmation } from '../src/modules/orders/orders.mails.ts';
import { newId } from '../src/kernel/ids.ts';
import { money } from '../src/kernel/money.ts';
import { Transactions } from '../src/transactions/transactions.ts';
import { serve, startApp, type TestApp } from './support/app.ts';
import { eventually } from './support/crowd.ts';
import { type MailServer, refusal, startMailServer } from './support/mail-server.ts';
import { makers, type Person, uuidOf } from './support/make.ts';

const quick = { EVENT_POLL_INTERVAL_MS: '50', MAIL_POLL_INTERVAL_MS: '50', MAIL_TIMEOUT_MS: '3000' };
let service: TestApp;
let other: Awaited<ReturnType<typeof serve>>;
let make: ReturnType<typeof makers>;
let server: MailServer;
beforeAll(async () => {
  server = await startMailServer();
  const variables = { ...quick, MAIL_URL: server.url, MAIL_FROM: 'Shop <orders@shop.example>' };
  service = await startApp(variables);
  other = await serve(service.database, variables);
  make = makers(service);
});
afterAll(async () => {
  await other.app.close();
  await service.close();
  await server.close();
});

interface MailRow {
  readonly attempts: number;
  readonly data: object;
  readonly sent: boolean;
  readonly dead: boolean;
  readonly later: boolean;
  readonly leased: boolean;
  readonly error: string | null;
  readonly whole: string;
}
const rowsOf = (person: Person) =>
  service.database.query<MailRow>(
    `SELECT attempts, data, sent_at IS NOT NULL AS sent, dead_at IS NOT NULL AS dead, lease IS NOT NULL AS leased,
       coalesce(due_at > now(), false) AS later, last_error AS error, m::text AS whole FROM mail m WHERE user_id = $1 ORDER BY id`,
    [uuidOf(person.id)],
  );
/** Waits until the only mail of the person is as that. */
const rowWhere = async (person: Person, isIt: (row: MailRow) => boolean) =>
  (
    await eventually(
      () => rowsOf(person),
      ([row]) => row !== undefined && isIt(row),
    )
  )[0]!;
const dueNow = (person: Person) =>
  service.database.query(`UPDATE mail SET due_at = now() WHERE user_id = $1 AND lease IS NULL`, [uuidOf(person.id)]);
/** Somebody with money, who has placed an order. */
async function withOrder(before: (buyer: Person) => void = () => undefined) {
  const buyer = await make.user({ balance: 100_000 });
  before(buyer);
  const order = await make.order(buyer, [await make.sku(10, 1299)]);
  return { buyer, order };
}
const confirmationFor = (to: Person, eventId?: string) =>
  orderConfirmation({
    to: uuidOf(to.id),
    ...(eventId !== undefined && { eventId }),
    data: { orderId: newId(), items: [], total: money(1n, 'EUR'), createdAt: new Date(0) },
  });

describe('the confirmation of an order', () => {
  it('arrives with its lines and total, as plain text and as HTML', async () => {
    const buyer = await make.user({ balance: 1_000_000_000 });
    const { api } = await make.operator();
    const { body: product } = await api
      .post('/v1/products', {
        slug: 'mug',
        name: '<b>Mug</b> & "co"',
        skus: [{ code: 'MUG', name: "Ada's", price: { amount: 123_450, currency: 'EUR' }, onHand: 10 }],
      })
      .expect(201);
    const order = await make.order(buyer, [{ skuId: product.skus[0].id, quantity: 2 }]);
    const [mail] = await server.come(buyer.email);
    expect(mail!.recipients).toEqual([buyer.email]);
    expect(Object.fromEntries(mail!.headers)).toMatchObject({
      from: 'Shop <orders@shop.example>',
      to: `User <${buyer.email}>`,
      subject: `Your order ${order.id}`,
      'auto-submitted': 'auto-generated',
      'message-id': expect.stringMatching(/^<[0-9a-f-]{36}@shop\.example>$/),
    });
    expect(mail!.plain).toContain(`Order ${order.id}, `);
    expect(mail!.plain).toMatch(/2 × {2}<b>Mug<\/b> & "co".*Ada's {2}€2,469\.00\n {2}Total {2}€2,469\.00/);
    expect(mail!.html).toMatch(/&lt;b&gt;Mug&lt;\/b&gt; &amp; &quot;co&quot;.*Ada&#39;s/);
    expect(mail!.html).not.toContain('<b>');
    expect(mail!.html).toContain('€2,469.00');
  });

  it('is sent once each, though two instances send, and the server takes its time', async () => {
    const buyer = await make.user({ balance: 100_000 });
    server.answer(buyer.email, (done) => void setTimeout(done, 200));
    const sku = await make.sku(100, 1);
    for (let n = 0; n < 12; n++) await make.order(buyer, [sku]);
    await server.come(buyer.email, 12);
    await sleep(600);
    const ids = server.to(buyer.email).map(({ headers }) => headers.get('message-id'));
    expect([ids.length, new Set(ids).size]).toEqual([12, 12]);
  });

  it('is sent once, though its consumer is called again for the event', async () => {
    const { buyer } = await withOrder();
    await server.come(buyer.email);
    const operator = await make.operator();
    const { body } = await buyer.api.get('/v1/events?type=order.placed').expect(200);
    const path = `/v1/events/${body.data[0].id}`;
    await operator.api.post(`${path}/redeliver`, { consumer: 'order-confirmations' }).expect(202);
    await eventually(
      async () => (await operator.api.get(`${path}/deliveries`).expect(200)).body.data,
      (open) => open.length === 0,
    );
    await sleep(300);
    expect(server.to(buyer.email)).toHaveLength(1);
  });

  it('is stored in the commit that removes the delivery of its event, or neither is', async () => {
    const { query } = service.database;
    await query(
      `CREATE FUNCTION refuse_mail() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'not now'; END $$`,
    );
    await query(
      `CREATE CONSTRAINT TRIGGER refuse_mail AFTER INSERT ON mail DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION refuse_mail()`,
    );
    const failing = `SELECT FROM event_delivery WHERE consumer = 'order-confirmations' AND attempts > 0 AND last_error IS NOT NULL`;
    const { buyer } = await withOrder();
    try {
      await eventually(
        () => query(failing),
        (rows) => rows.length > 0,
      );
      expect([server.to(buyer.email), await rowsOf(buyer)]).toEqual([[], []]);
    } finally {
      await query('DROP TRIGGER refuse_mail ON mail');
    }
    await query(`UPDATE event_delivery SET due_at = now() WHERE dead_at IS NULL`);
    await server.come(buyer.email);
  });
});

describe('a mail', () => {
  it('of work that is rolled back is never sent, and one outside any boundary is refused', async () => {
    const buyer = await make.user();
    const mails = service.app.get(MailsService);
    const undone = service.app.get(Transactions).run({ name: 'Shop.sell' }, async () => {
      await mails.enqueue(confirmationFor(buyer));
      await sleep(300);
      throw new Error('undone');
    });
    await expect(undone).rejects.toThrow('undone');
    await expect(mails.enqueue(confirmationFor(buyer))).rejects.toThrow('must run inside a boundary');
    await sleep(300);
    expect([server.to(buyer.email), await rowsOf(buyer)]).toEqual([[], []]);
  });

  it('that the server puts off is sent later, to the address that the person has by then', async () => {
    const { buyer } = await withOrder(({ email }) => server.refuse(email, 451));
    const row = await rowWhere(buyer, ({ error }) => error !== null);
    expect(row).toMatchObject({ attempts: 1, later: true, error: 'RCPT TO 451' });
    const email = `moved-${buyer.email}`;
    await service.database.query(`UPDATE "user" SET email = $1 WHERE id = $2`, [email, uuidOf(buyer.id)]);
    await dueNow(buyer);
    await server.come(email);
    expect(server.to(buyer.email)).toEqual([]);
    await rowWhere(buyer, ({ sent }) => sent);
  });

  it('keeps nothing of the person, and nothing at all of its text once it was sent', async () => {
    const { buyer, order } = await withOrder(({ email }) => server.refuse(email, 451));
    const { whole } = await rowWhere(buyer, ({ error }) => error !== null);
    expect(whole).toContain(order.id);
    expect(whole).not.toMatch(new RegExp(`${buyer.email}|User`));
    server.refuse(buyer.email, null);
    await dueNow(buyer);
    expect(await rowWhere(buyer, ({ sent }) => sent)).toMatchObject({ data: {}, error: null, attempts: 2 });
  });

  it.each([
    ['the recipient', (email: string) => server.refuse(email, 550), 'RCPT TO 550'],
    ['the message', (email: string) => server.answer(email, (done) => done(refusal(554, email))), 'DATA 554'],
  ])('whose %s is refused for good is given up at once', async (_, refuse, error) => {
    const { buyer } = await withOrder(({ email }) => refuse(email));
    expect(await rowWhere(buyer, ({ dead }) => dead)).toMatchObject({ attempts: 1, error });
  });

  it('that the server never answers is let go in time, and holds up no other one', async () => {
    const { buyer } = await withOrder(({ email }) => server.answer(email, () => undefined));
    const hanging = rowWhere(buyer, ({ error }) => error !== null);
    const { buyer: next } = await withOrder();
    await server.come(next.email);
    expect(await hanging).toMatchObject({ attempts: 1, later: true, leased: false, error: 'timeout' });
  });

  it('is given up after ten attempts', async () => {
    const { buyer } = await withOrder(({ email }) => server.refuse(email, 451));
    for (let attempts = 1; attempts < 10; attempts++) {
      await rowWhere(buyer, (row) => row.attempts === attempts && !row.leased && row.later);
      await dueNow(buyer);
    }
    expect(await rowWhere(buyer, ({ dead }) => dead)).toMatchObject({ attempts: 10, error: 'RCPT TO 451' });
  });

  it('that has ended whoever sent it again and again is not tried once more', async () => {
    const { buyer } = await withOrder(({ email }) => server.refuse(email, 451));
    await rowWhere(buyer, ({ error }) => error !== null);
    server.refuse(buyer.email, null);
    await service.database.query(`UPDATE mail SET attempts = 10, due_at = now() WHERE user_id = $1`, [
      uuidOf(buyer.id),
    ]);
    expect(await rowWhere(buyer, ({ dead }) => dead)).toMatchObject({ error: 'abandoned' });
    expect(server.to(buyer.email)).toEqual([]);
  });

  it('to somebody who was disabled meanwhile is not sent', async () => {
    const { buyer } = await withOrder(({ email }) => server.refuse(email, 451));
    await rowWhere(buyer, ({ error }) => error !== null);
    server.refuse(buyer.email, null);
    await service.database.query(`UPDATE "user" SET disabled_at = now() WHERE id = $1`, [uuidOf(buyer.id)]);
    await dueNow(buyer);
    expect(await rowWhere(buyer, ({ dead }) => dead)).toMatchObject({ error: 'recipient-disabled' });
    expect(server.to(buyer.email)).toEqual([]);
  });

  it('has no header and no recipient that a name with line breaks brings along', async () => {
    const buyer = await make.user({ balance: 100_000 });
    const name = 'Eve\r\nBcc: mallory@example.com\r\n\r\nYou have won <eve@example.com>';
    await service.database.query(`UPDATE profile SET display_name = $1 WHERE user_id = $2`, [name, uuidOf(buyer.id)]);
    await make.order(buyer, [await make.sku(10, 1299)]);
    const [mail] = await server.come(buyer.email);
    expect(mail!.recipients).toEqual([buyer.email]);
    expect([...mail!.headers.keys()]).not.toContain('bcc');
    expect(mail!.headers.get('to')).toContain(`<${buyer.email}>`);
    expect(mail!.plain).toMatch(/^Thank you/);
  });

  it('that another release has defined waits for an instance that knows it', async () => {
    const buyer = await make.user();
    await service.database.query(
      `INSERT INTO mail (id, kind, user_id, data, due_at, expires_at) VALUES ($1, 'of-tomorrow', $2, '{}', now(), now() + interval '1 day')`,
      [newId(), uuidOf(buyer.id)],
    );
    expect(await rowWhere(buyer, ({ error }) => error !== null)).toMatchObject({ error: 'unknown-kind', later: true });
  });

  it('whose sender has lost the lease is not marked by it', async () => {
    const buyer = await make.user();
    // Somebody else's by the time that the answer comes.
    server.answer(buyer.email, (done) => {
      void service.database
        .query(`UPDATE mail SET lease = gen_random_uuid(), due_at = now() + interval '1 hour' WHERE user_id = $1`, [
          uuidOf(buyer.id),
        ])
        .then(() => done());
    });
    await service.app
      .get(Transactions)
      .run({ name: 'Shop.sell' }, () => service.app.get(MailsService).enqueue(confirmationFor(buyer)));
    await server.come(buyer.email);
    await sleep(300);
    expect(await rowsOf(buyer)).toMatchObject([{ sent: false, leased: true }]);
  });

  it('is handed over to its end before an instance goes', async () => {
    const alone = await startApp({
      ...quick,
      MAIL_TIMEOUT_MS: '20000',
      MAIL_URL: server.url,
      MAIL_FROM: 'orders@shop.example',
    });
    try {
      const buyer = await makers(alone).user();
      const email = `slow-${buyer.email}`;
      await alone.database.query(`UPDATE "user" SET email = $1 WHERE id = $2`, [email, uuidOf(buyer.id)]);
      const begun = new Promise<void>((resolve) => {
        server.answer(email, (done) => {
          resolve();
          setTimeout(done, 500);
        });
      });
      await alone.app
        .get(Transactions)
        .run({ name: 'Shop.sell' }, () => alone.app.get(MailsService).enqueue(confirmationFor(buyer)));
      await begun;
      await alone.app.close();
      expect(await alone.database.query(`SELECT sent_at IS NOT NULL AS sent FROM mail`)).toEqual([{ sent: true }]);
    } finally {
      await alone.close();
    }
  });
});
