import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';
import { askOutcome } from '../src/transactions/boundary/outcome.ts';
import { CommitOutcomeUnknownError } from '../src/transactions/errors.ts';
import { acknowledgeLookUp } from '../src/transactions/reads/look-ups.ts';
import { newId, showId } from '../src/kernel/ids.ts';
import { api, serve, type TestApp } from './support/app.ts';
import { type Bare, errorOf, startBare } from './support/bare.ts';
import { crowd, eventually } from './support/crowd.ts';
import type { Person } from './support/make.ts';
import { ask, type OwnCluster, startOwnCluster } from './support/own-cluster.ts';
import { expectProblem } from './support/problem.ts';
import { between } from './support/transfers.ts';

// What was looked up is acknowledged when the synchronous standby has it, and no earlier.

let own: OwnCluster;
let core: Bare;

beforeAll(async () => {
  own = await startOwnCluster();
  core = await startBare({ app: own.database.urls.app });
});
afterEach(async () => {
  await waitFor('');
  await own.cluster.replica.start();
});
afterAll(async () => {
  await core.close();
  await own.close();
});

/** Has the primary wait for this standby; for none when it is empty. */
async function waitFor(standby: string): Promise<void> {
  const superuser = own.cluster.url('superuser');
  await ask(superuser, `ALTER SYSTEM SET synchronous_standby_names = '${standby}'`);
  await ask(superuser, 'SELECT pg_reload_conf()');
  await eventually(
    () => ask<{ names: string }>(own.database.urls.app, `SELECT current_setting('synchronous_standby_names') AS names`),
    ([row]) => row?.names === standby,
  );
}

/** The primary waits for its standby, which is away. */
async function loseStandby(): Promise<void> {
  await waitFor('holdfast_replica');
  await own.cluster.replica.stop('fast');
}

const waitGivenUp = `SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE wait_event = 'SyncRep'`;

/** A transaction that has written, and is not committed. */
async function written() {
  const client = new pg.Client({ connectionString: own.database.urls.owner });
  client.on('error', () => undefined);
  await client.connect();
  await client.query('BEGIN');
  await client.query(`INSERT INTO product (id, slug, name) VALUES (gen_random_uuid(), gen_random_uuid(), 'a')`);
  const { rows } = await client.query<{ id: string }>(
    `SELECT pg_current_xact_id()::text || '@' || extract(epoch FROM pg_postmaster_start_time()) AS id`,
  );
  return { client, id: rows[0]!.id };
}

const soon = () => performance.now() + 300;
const outcome = (id: string) => askOutcome(core.databases.write.pool, id, soon());

describe('with a synchronous standby that is away', () => {
  it('a COMMIT that only the crashed primary has is not said to be stored before the standby has it', async () => {
    const { client, id } = await written();
    await loseStandby();
    const committed = client.query('COMMIT').catch(() => undefined);
    await eventually(
      () => ask(own.database.urls.owner, `SELECT FROM pg_stat_activity WHERE wait_event = 'SyncRep'`),
      (rows) => rows.length === 1,
    );
    expect(await outcome(id)).toBe('unknown');
    await own.cluster.primary.stop('immediate');
    await own.cluster.primary.start();
    await committed;
    // The primary shows it now, and would lose it with itself.
    const [row] = await ask<{ status: string }>(own.database.urls.owner, `SELECT pg_xact_status($1::xid8) AS status`, [
      id.split('@')[0],
    ]);
    expect(row?.status).toBe('committed');
    expect(await outcome(id)).toBe('unknown');
    await own.cluster.replica.start();
    await eventually(
      () => outcome(id),
      (answer) => answer === 'stored',
    );
  });

  it('a look-up is acknowledged when the standby is back, and is in doubt until then', async () => {
    await loseStandby();
    const lookUp = (timeout: '4s' | '30s') =>
      core.run({ name: 'LookUp', timeout }, async () => {
        const found = await core.db.product.count();
        await acknowledgeLookUp(core.transactions);
        return found;
      });
    expect(await errorOf(lookUp('4s'))).toBeInstanceOf(CommitOutcomeUnknownError);
    const waiting = lookUp('30s');
    expect(await Promise.race([waiting, sleep(300, 'waits')])).toBe('waits');
    await own.cluster.replica.start();
    expect(await waiting).toBeGreaterThanOrEqual(0);
  });

  it('a repeated request is answered as before when the standby has what it is told of', async () => {
    const service = await serve({ urls: own.database.urls }, { DATABASE_TRANSACTION_TIMEOUT_MS: '1500' });
    const person = { email: 'repeated@example.com', password: 'correct horse battery', profile: { displayName: 'R' } };
    const ask = () => api(service.url).post('/v1/users', person).set('idempotency-key', 'repeated');
    try {
      const first = await ask().expect(201);
      await loseStandby();
      expectProblem(await ask().expect(503), 'outcome-unknown');
      await own.cluster.replica.start();
      const again = await eventually(ask, ({ status }) => status === 201);
      expect([again.text, again.headers['idempotent-replayed']]).toEqual([first.text, 'true']);
    } finally {
      await service.app.close();
    }
  });

  it('an id of a transfer that only the primary has is told to be taken when the standby has it', async () => {
    const { app, url } = await serve({ urls: own.database.urls }, { DATABASE_TRANSACTION_TIMEOUT_MS: '1500' });
    const database = { ...own.database, drop: async () => undefined };
    const service: TestApp = { app, url, database, as: (token) => api(url, token), close: () => app.close() };
    try {
      const [payer, payee] = (await crowd(service, 2, { balance: 10 })) as [Person, Person];
      const transfer = between(payer, payee, 1, { id: showId('tr', newId()) });
      const transferBy = (key: string) => payer.api.post('/v1/transfers', transfer).set('idempotency-key', key);
      await loseStandby();
      expectProblem(await transferBy('first').expect(503), 'outcome-unknown');
      // Its wait for the standby is given up: from now on the primary shows it.
      await ask(own.cluster.url('superuser'), waitGivenUp);
      for (const key of ['second', 'third']) expectProblem(await transferBy(key).expect(503), 'outcome-unknown');
      await own.cluster.replica.start();
      // The first try under this key may still be ending.
      await eventually(
        () => transferBy('second'),
        ({ status, body }) => status === 409 && body.code === 'transfer-exists',
      );
    } finally {
      await service.close();
    }
  });

  it('a boundary that only reads waits for nobody unless it asks to', async () => {
    await loseStandby();
    expect(await core.run({ timeout: '5s' }, () => core.db.product.count())).toBeGreaterThanOrEqual(0);
  });
});

describe('without a synchronous standby', () => {
  it('a look-up writes nothing, and is acknowledged although the replica is away', async () => {
    await own.cluster.replica.stop('fast');
    const ids = await core.run({ timeout: '5s' }, async () => {
      await acknowledgeLookUp(core.transactions);
      return core.db.$queryRaw<{ id: string | null }[]>`SELECT pg_current_xact_id_if_assigned()::text AS id`;
    });
    expect(ids).toEqual([{ id: null }]);
  });

  it('a look-up outside any boundary has no COMMIT to wait with', async () => {
    expect((await errorOf(acknowledgeLookUp(core.transactions))).name).toBe('TransactionRequiredError');
  });
});
