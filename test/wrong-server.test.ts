/** @servers any */
import type { Response } from 'supertest';
import { newId, showId } from '../src/kernel/ids.ts';
import { kindOf } from '../src/transactions/wire/postgres-errors.ts';
import { api, serve, type TestApp } from './support/app.ts';
import { type Bare, errorOf, fresh, startBare, stored } from './support/bare.ts';
import { crowd, eventually } from './support/crowd.ts';
import type { Person } from './support/make.ts';
import { ask, type OwnCluster, replicaSuperuser, startOwnCluster } from './support/own-cluster.ts';
import { startSwitch, type Switch } from './support/switch.ts';

// A connection that works and leads to the wrong server: the primary's address to its standby, the replica's to the primary.

let own: OwnCluster;
let address: Switch;
let service: TestApp;
let core: Bare;
let alice: Person;
let bob: Person;

beforeAll(async () => {
  own = await startOwnCluster();
  address = await startSwitch(own.database.urls.app);
  const variables = { DATABASE_WRITE_URL: address.through(own.database.urls.app), DATABASE_POOL_SIZE: '4' };
  const { app, url } = await serve(own.database, variables);
  const database = { ...own.database, drop: async () => undefined };
  service = { app, url, database, as: (token) => api(url, token), close: () => app.close() };
  core = await startBare({ app: variables.DATABASE_WRITE_URL }, { DATABASE_POOL_SIZE: '4' });
  [alice, bob] = (await crowd(service, 2, { balance: 1000 })) as [Person, Person];
});
afterEach(() => toPrimary());
afterAll(async () => {
  await core.close();
  await service.close();
  await address.close();
  await own.close();
});

// The same roles and passwords, on the standby's port.
const toStandby = (): void => address.lead(own.database.urls.reader);
const toPrimary = (): void => address.lead(own.database.urls.app);
const transfer = () =>
  alice.api.post('/v1/transfers', {
    fromAccountId: alice.accountId,
    toAccountId: bob.accountId,
    amount: { amount: 1, currency: 'EUR' },
  });
const many = (times: number): Promise<Response[]> => Promise.all(Array.from({ length: times }, transfer));
const codes = (answers: readonly Response[]) => [...new Set(answers.map(({ status, body }) => body.code ?? status))];

describe('while the address of the primary leads to its standby', () => {
  it('writes are 503, reads are served, /readyz says why, and no request fails once it is right again', async () => {
    expect(codes(await many(8))).toEqual([201]);
    toStandby();
    address.cut();
    const meanwhile = await many(8);
    expect(codes(meanwhile)).toEqual(['temporary-reduced-capacity']);
    for (const { body, headers } of meanwhile) expect([body.retryable, headers['retry-after']]).toEqual([true, '1']);
    // As soon as the replica has what she has written.
    await eventually(
      () => alice.api.get('/v1/users/me'),
      ({ status }) => status === 200,
    );
    await eventually(
      () => service.as().get('/readyz'),
      ({ body }) => JSON.stringify(body.details.primary).includes('standby'),
    );
    toPrimary();
    for (let n = 0; n < 5; n++) expect(codes(await many(4))).toEqual([201]);
  });

  it('a connection that was a standby when nobody asked is thrown away, and the work done again', async () => {
    // As after a demotion: every connection that there is refuses to write.
    for (const write of [
      (slug: string) => core.run({ name: 'Demoted' }, () => core.write(slug)),
      (slug: string) => core.write(slug),
    ]) {
      await core.run({}, () => core.pid());
      await ask(own.database.urls.superuser, 'ALTER ROLE holdfast_app SET default_transaction_read_only = on');
      address.cut();
      const pids = await Promise.all(Array.from({ length: 4 }, () => core.run({}, () => core.pid())));
      expect(new Set(pids).size).toBeGreaterThan(0);
      await ask(own.database.urls.superuser, 'ALTER ROLE holdfast_app RESET default_transaction_read_only');
      const slug = fresh('demoted');
      await write(slug);
      expect(await stored(own.database, [slug])).toEqual([slug]);
    }
  });

  it('a boundary that only reads is refused a write by its own terms: it is not done again', async () => {
    let runs = 0;
    await ask(own.database.urls.superuser, 'CREATE SEQUENCE public.counted');
    await ask(own.database.urls.superuser, 'GRANT USAGE ON SEQUENCE public.counted TO PUBLIC');
    const work = core.run({ name: 'Reader', readOnly: true }, async (db) => {
      runs++;
      await db.$queryRaw`SELECT nextval('public.counted')`;
    });
    expect(kindOf(await errorOf(work))).not.toBe('stale');
    expect(runs).toBe(1);
  });
});

describe('an address of a replica that leads to the primary', () => {
  it('is left alone: reads go to the primary by its own pool', async () => {
    const wrong = await startBare({ app: own.database.urls.app, reader: own.database.urls.app });
    try {
      const slug = fresh('read');
      await wrong.write(slug);
      expect(await wrong.db.product.count({ where: { slug } })).toBe(1);
      // It is asked again and again, and never taken for what it is not.
      const { pool } = wrong.databases.replicas[0]!;
      await eventually(
        async () => pool.trouble?.message,
        (message) => message?.includes('no standby') === true,
      );
      expect(pool.idleCount).toBe(0);
    } finally {
      await wrong.close();
    }
  });
});

// The last: it is a standby no more.
describe('a replica that is promoted', () => {
  it('is read from no longer, though its connections are as good as before', async () => {
    const { app, url } = await serve(own.database, { DATABASE_READ_CONSISTENCY: 'caller' });
    try {
      const id = newId();
      await own.database.query(`INSERT INTO product (id, slug, name) VALUES ($1, 'promoted', 'before')`, [id]);
      const read = () => api(url).get(`/v1/products/${showId('prd', id)}`);
      const becomes = (name: string) => eventually(read, ({ body }) => body.name === name);
      await becomes('before');
      await ask(replicaSuperuser(own), 'SELECT pg_promote()');
      await own.database.query(`UPDATE product SET name = 'after' WHERE id = $1`, [id]);
      await becomes('after');
    } finally {
      await app.close();
    }
  });
});
