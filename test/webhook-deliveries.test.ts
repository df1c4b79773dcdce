import { setTimeout as sleep } from 'node:timers/promises';
import { WebhookDeliveriesService } from '../src/modules/webhooks/webhook-deliveries.service.ts';
import { serve, startApp, type TestApp } from './support/app.ts';
import { eventually } from './support/crowd.ts';
import { makers, type Person, uuidOf } from './support/make.ts';
import { type Receiver, startReceiver, verified } from './support/webhook-receiver.ts';

const quick = { EVENT_POLL_INTERVAL_MS: '50', WEBHOOK_POLL_INTERVAL_MS: '50', WEBHOOK_TIMEOUT_MS: '1000' };
let service: TestApp;
let other: Awaited<ReturnType<typeof serve>>;
let make: ReturnType<typeof makers>;
let receiver: Receiver;
beforeAll(async () => {
  service = await startApp(quick);
  other = await serve(service.database, quick);
  make = makers(service);
  receiver = await startReceiver();
});
afterAll(async () => {
  receiver.close();
  await other.app.close();
  await service.close();
});

let counted = 0;
const path = '/v1/webhook-endpoints';

/** An endpoint of this person, on a path of its own. */
async function endpointOf(by: Person, members: object = {}) {
  const place = `/${++counted}`;
  const { body } = await by.api.post(path, { url: receiver.url(place), ...members }).expect(201);
  return { id: body.id as string, secret: body.secret as string, place };
}
/** A person with money, and an endpoint. */
async function withEndpoint(members: object = {}) {
  const [by, to] = [await make.user({ balance: 1000 }), await make.user()];
  return { by, to, ...(await endpointOf(by, members)) };
}
const pay = (by: Person, to: Person, amount = 1) =>
  by.api
    .post('/v1/transfers', {
      fromAccountId: by.accountId,
      toAccountId: to.accountId,
      amount: { amount, currency: 'EUR' },
    })
    .expect(201);
const deliveriesOf = async (by: Person, id: string) =>
  (await by.api.get(`${path}/${id}/deliveries?limit=100`).expect(200)).body.data;
/** Waits until so many have come to the place. */
const come = (place: string, count: number) =>
  eventually(
    async () => receiver.at(place),
    (got) => got.length >= count,
  );
const dueNow = (id: string) =>
  service.database.query(
    `UPDATE webhook_queue SET due_at = now() WHERE endpoint_id = '${uuidOf(id)}' AND lease IS NULL`,
  );

describe('a webhook', () => {
  it('is a signed CloudEvent that whoever holds the secret can verify', async () => {
    const { by, to, secret, place, id } = await withEndpoint();
    const { body: transfer } = await pay(by, to);
    const [one] = await come(place, 1);
    expect(verified(secret, one!)).toEqual(one!.event);
    expect(one!.event).toMatchObject({
      specversion: '1.0',
      type: 'transfer.posted',
      subject: transfer.id,
      data: { transferId: transfer.id, amount: { amount: 1, currency: 'EUR' } },
    });
    expect(one!.headers).toMatchObject({ 'content-type': 'application/cloudevents+json', connection: 'close' });
    const [delivery] = await eventually(
      () => deliveriesOf(by, id),
      ([first]) => first?.state === 'delivered',
    );
    expect(delivery).toMatchObject({
      id: one!.headers['webhook-id'],
      eventId: one!.event.id,
      type: 'transfer.posted',
      attempts: [{ status: 204, error: null }],
    });
    const other = await withEndpoint();
    expect(() => verified(other.secret, one!)).toThrow('No matching signature found');
  });

  it('is signed by the old secret and the new one after a rotation, and a day later by the new one alone', async () => {
    const { by, to, secret, place, id } = await withEndpoint();
    const { body } = await by.api.post(`${path}/${id}/rotate-secret`).expect(200);
    await pay(by, to);
    const [first] = await come(place, 1);
    for (const one of [secret, body.secret]) expect(verified(one, first!)).toEqual(first!.event);
    await service.database.query(`UPDATE webhook_endpoint SET previous_ends_at = now() WHERE id = '${uuidOf(id)}'`);
    await pay(by, to);
    const [, second] = await come(place, 2);
    expect(verified(body.secret, second!)).toEqual(second!.event);
    expect(() => verified(secret, second!)).toThrow('No matching signature found');
  });

  it('goes to those who may read the event and want its type: owner, counterparty and operators', async () => {
    const operator = await make.operator();
    const { by, to, place } = await withEndpoint();
    const receiving = await endpointOf(to);
    const picky = await endpointOf(by, { types: ['order.placed'] });
    const stranger = await withEndpoint();
    const all = await endpointOf(operator, { types: ['transfer.posted'] });
    await pay(by, to);
    for (const reader of [place, receiving.place, all.place]) await come(reader, 1);
    await sleep(200);
    expect([picky.place, stranger.place].flatMap(receiver.at)).toEqual([]);
  });

  it('is queued in the commit that removes the delivery of its event, or neither is', async () => {
    const { by, to, place } = await withEndpoint();
    const { query } = service.database;
    await query(
      `CREATE FUNCTION refuse_webhooks() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'not now'; END $$`,
    );
    await query(
      `CREATE CONSTRAINT TRIGGER refuse_webhooks AFTER INSERT ON webhook_delivery DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION refuse_webhooks()`,
    );
    const waiting = () =>
      query(`SELECT FROM event_delivery WHERE consumer = 'webhooks' AND attempts > 0 AND last_error IS NOT NULL`);
    try {
      await pay(by, to);
      await eventually(waiting, (rows) => rows.length > 0, 10_000);
      expect(receiver.at(place)).toEqual([]);
    } finally {
      await query('DROP TRIGGER refuse_webhooks ON webhook_delivery');
    }
    await query(`UPDATE event_delivery SET due_at = now() WHERE dead_at IS NULL`);
    await come(place, 1);
  });

  it('comes once each and in order, also behind a failure, though two instances send', async () => {
    const { by, to, place, id } = await withEndpoint();
    let failures = 0;
    receiver.answer(place, (_, response) => response.writeHead(failures++ < 1 ? 503 : 200).end('done'));
    for (let n = 1; n <= 5; n++) await pay(by, to, n);
    await come(place, 1);
    await sleep(300);
    // The others wait for the first.
    expect(receiver.at(place)).toHaveLength(1);
    await dueNow(id);
    await come(place, 6);
    await sleep(200);
    const amounts = receiver.at(place).map(({ event }) => (event.data['amount'] as { amount: number }).amount);
    expect(amounts).toEqual([1, 1, 2, 3, 4, 5]);
    const ids = receiver.at(place).map(({ headers }) => headers['webhook-id']);
    expect([ids[0], new Set(ids).size]).toEqual([ids[1], 5]);
    const deliveries = await deliveriesOf(by, id);
    expect(deliveries.at(-1).attempts).toMatchObject([
      { status: 503, error: 'status' },
      { status: 200, error: null },
    ]);
  });

  it('is sent again by another instance where the one that has taken it on dies', async () => {
    const { by, to, place, id } = await withEndpoint();
    // Nobody sends what a dead instance holds.
    await service.database.query(
      `UPDATE webhook_queue SET lease = gen_random_uuid(), due_at = now() + interval '1 hour' WHERE endpoint_id = '${uuidOf(id)}'`,
    );
    await pay(by, to);
    await sleep(400);
    expect(receiver.at(place)).toEqual([]);
    await service.database.query(`UPDATE webhook_queue SET due_at = now() WHERE endpoint_id = '${uuidOf(id)}'`);
    await come(place, 1);
    await sleep(200);
    expect(receiver.at(place)).toHaveLength(1);
  });

  it('whose lease is another’s by now stores nothing of what it has come to', async () => {
    const { by, to, place, id } = await withEndpoint();
    const deliveries = service.app.get(WebhookDeliveriesService);
    await pay(by, to);
    await come(place, 1);
    const [row] = await deliveriesOf(by, id);
    const late = {
      endpointId: uuidOf(id),
      lease: '01a1fbe4-cc8b-7000-9287-282254c2d3bc',
      url: receiver.url(place),
      secret: Buffer.alloc(0),
      previousSecret: null,
      deliveryId: uuidOf(row.id),
      body: '{}',
      tries: 0,
      takenAt: new Date(0),
    };
    expect(await deliveries.finish(late, { status: 500, durationMs: 1, error: 'status' })).toBe(false);
  });

  it('is sent again on demand with the same id, by its owner alone', async () => {
    const { by, to, place, id } = await withEndpoint();
    await pay(by, to);
    await come(place, 1);
    const [delivery] = await eventually(
      () => deliveriesOf(by, id),
      ([first]) => first?.state === 'delivered',
    );
    const again = `${path}/${id}/deliveries/${delivery.id}/redeliver`;
    expect((await to.api.post(again).expect(404)).body.code).toBe('webhook-endpoint-not-found');
    await to.api.get(`${path}/${id}/deliveries`).expect(404);
    expect((await by.api.post(again).expect(202)).body).toMatchObject({ id: delivery.id, state: 'pending' });
    const [first, second] = await come(place, 2);
    expect(second!.headers['webhook-id']).toBe(first!.headers['webhook-id']);
    expect(second!.body).toBe(first!.body);
  });
});

describe('an endpoint', () => {
  it('that hangs, answers slowly or without end is given a bounded time, and holds up no other one', async () => {
    const operator = await make.operator();
    const hanging = await Promise.all(
      [...Array(6).keys()].map(() => endpointOf(operator, { types: ['transfer.posted'] })),
    );
    for (const { place } of hanging) receiver.answer(place, () => undefined);
    const [slow, endless, plain] = [await withEndpoint(), await withEndpoint(), await withEndpoint()];
    receiver.answer(slow.place, (_, response) => {
      response.writeHead(200);
      const timer = setInterval(() => response.write('.'), 100);
      response.on('close', () => clearInterval(timer));
    });
    let streamed = 0;
    receiver.answer(endless.place, (_, response) => {
      response.writeHead(200);
      const more = (): void => {
        while (!response.destroyed && response.write(Buffer.alloc(65_536))) streamed += 65_536;
        if (!response.destroyed) response.once('drain', more);
      };
      more();
    });
    for (const { by, to } of [slow, endless, plain]) await pay(by, to);
    await come(plain.place, 1);
    for (const { by, id } of [slow, endless, plain])
      await eventually(
        () => deliveriesOf(by, id),
        ([first]) => first?.state === 'delivered',
      );
    expect(streamed).toBeLessThan(20_000_000);
    const [first] = await eventually(
      () => deliveriesOf(operator, hanging[0]!.id),
      (all) => all.some(({ attempts }: { attempts: unknown[] }) => attempts.length > 0),
    );
    expect(first).toBeDefined();
    for (const { id } of hanging) await operator.api.delete(`${path}/${id}`).set('if-match', '*').expect(204);
  });

  it('that redirects is not followed', async () => {
    const { by, to, place, id } = await withEndpoint();
    const target = await withEndpoint();
    receiver.answer(place, (_, response) => response.writeHead(307, { location: receiver.url(target.place) }).end());
    await pay(by, to);
    const [delivery] = await eventually(
      () => deliveriesOf(by, id),
      ([first]) => first?.attempts.length === 1,
    );
    expect(delivery).toMatchObject({ state: 'pending', attempts: [{ status: 307, error: 'redirect' }] });
    expect(receiver.at(target.place)).toEqual([]);
  });

  it('that says it is gone is disabled, and its owner’s other endpoints are told in an event', async () => {
    const { by, to, place, id } = await withEndpoint({ types: ['transfer.posted'] });
    const watching = await endpointOf(by, { types: ['webhook-endpoint.disabled'] });
    receiver.answer(place, (_, response) => response.writeHead(410).end());
    await pay(by, to);
    const [told] = await come(watching.place, 1);
    expect(told!.event).toMatchObject({ subject: id, data: { webhookEndpointId: id, reason: 'gone' } });
    const { body } = await by.api.get(`${path}/${id}`).expect(200);
    expect(body).toMatchObject({ enabled: false, disabledReason: 'gone', version: 2 });
    const [delivery] = await deliveriesOf(by, id);
    expect(delivery).toMatchObject({ state: 'dead', attempts: [{ status: 410 }] });
    const refused = await by.api.post(`${path}/${id}/deliveries/${delivery.id}/redeliver`).expect(409);
    expect(refused.body.code).toBe('webhook-endpoint-disabled');
  });

  it('all of whose attempts have failed for three days is disabled, keeps what waits, and goes on once it is enabled', async () => {
    const { by, to, place, id } = await withEndpoint();
    receiver.answer(place, (_, response) => response.writeHead(500).end());
    await pay(by, to);
    await eventually(
      () => deliveriesOf(by, id),
      ([first]) => first?.attempts.length === 1,
    );
    await service.database.query(
      `UPDATE webhook_queue SET failing_since = now() - interval '73 hours' WHERE endpoint_id = '${uuidOf(id)}'`,
    );
    await dueNow(id);
    await eventually(
      async () => (await by.api.get(`${path}/${id}`).expect(200)).body,
      ({ disabledReason }) => disabledReason === 'failures',
    );
    receiver.answer(place, (_, response) => response.writeHead(200).end());
    await by.api.patch(`${path}/${id}`, { enabled: true }).set('if-match', '*').expect(200);
    await eventually(
      () => deliveriesOf(by, id),
      ([first]) => first?.state === 'delivered',
    );
  });

  it('is tried so often, over more than three days, and then the next delivery has its turn', async () => {
    const { by, to, place, id } = await withEndpoint();
    receiver.answer(place, (_, response) => response.writeHead(500).end());
    await pay(by, to);
    for (let tries = 1; tries <= 10; tries++) {
      await eventually(
        () => deliveriesOf(by, id),
        ([first]) => first?.attempts.length === tries,
      );
      // After the last one nothing waits.
      if (tries < 10) await dueNow(id);
    }
    expect(await deliveriesOf(by, id)).toMatchObject([{ state: 'dead' }]);
    receiver.answer(place, (_, response) => response.writeHead(200).end());
    await pay(by, to);
    await eventually(
      () => deliveriesOf(by, id),
      ([newest]) => newest?.state === 'delivered',
    );
  });
});
