import pg from 'pg';
import { api, serve, type TestApp } from './support/app.ts';
import { type Bare, errorOf, startBare } from './support/bare.ts';
import { findMistakes } from './support/books.ts';
import { atOnce, crowd, tally } from './support/crowd.ts';
import { createDatabase, type TestDatabase } from './support/database.ts';
import { hasPgBouncer, type PgBouncer, type PgBouncerSettings, startPgBouncer } from './support/pgbouncer.ts';

// PgBouncer between the service and its database (docs/database-connections.md). It is installed beside the oldest PostgreSQL.
const isWanted = process.env['CI'] === 'true' && process.env['POSTGRES_BINARIES'] !== undefined;

it('CI has PgBouncer where it runs the tests on the oldest PostgreSQL', () => {
  expect(hasPgBouncer || !isWanted).toBe(true);
});

(hasPgBouncer ? describe : describe.skip)('behind PgBouncer', () => {
  let database: TestDatabase;
  let pooler: PgBouncer | undefined;
  const started: (Bare | TestApp)[] = [];
  beforeAll(async () => {
    database = await createDatabase();
  });
  afterEach(async () => {
    for (const one of started.splice(0)) await one.close();
    await pooler?.close();
    pooler = undefined;
  });
  afterAll(() => database.drop());

  const through = async (settings: PgBouncerSettings): Promise<string> => {
    pooler = await startPgBouncer(database.urls.app, settings);
    return pooler.url;
  };
  const start = async (app: string, variables: Record<string, string>): Promise<Bare> => {
    const core = await startBare({ app }, variables);
    started.push(core);
    return core;
  };

  const lending: [string, Omit<PgBouncerSettings, 'mode'>][] = [
    ['its only session', { size: 1 }],
    ['the session that was used last', { size: 4 }],
    ['its two sessions in turn', { size: 2, isRoundRobin: true }],
    ['its sessions in turn', { size: 4, isRoundRobin: true }],
  ];
  it.each(lending)('in transaction mode, where it lends %s, the start says what to set', async (_, settings) => {
    const url = await through({ mode: 'transaction', ...settings });
    await fill(url, settings.size!);
    for (let times = 0; times < 3; times++) {
      const { name, message } = await errorOf(startBare({ app: url }, { DATABASE_STATEMENT_NAMES: 'on' }));
      expect([name, message]).toEqual([
        'StatementNamesError',
        expect.stringMatching(/^The database cannot be used: a pooler .*\. Set DATABASE_STATEMENT_NAMES=off,/),
      ]);
    }
  });

  it('in transaction mode, without names of statements, each boundary has the limits that the pooler has dropped', async () => {
    const variables = { DATABASE_STATEMENT_NAMES: 'off', DATABASE_LOCK_TIMEOUT_MS: '1234' };
    const core = await start(await through({ mode: 'transaction' }), variables);
    const [outside, inside] = [
      await core.show('lock_timeout'),
      await core.run({ name: 'inside' }, () => core.show('lock_timeout')),
    ];
    expect([outside, inside]).toEqual(['0', '1234ms']);
  });

  it('in transaction mode, without names of statements, many transfers at once are made on few sessions', async () => {
    const variables = {
      DATABASE_WRITE_URL: await through({ mode: 'transaction', size: 3 }),
      DATABASE_STATEMENT_NAMES: 'off',
    };
    const { app, url } = await serve(database, { ...variables, DATABASE_POOL_WAIT_MS: '10000' });
    const service: TestApp = { app, url, database, as: (token) => api(url, token), close: () => app.close() };
    started.push(service);
    const people = await crowd(service, 8, { balance: 1000 });
    const answers = await atOnce(40, (n) => {
      const [payer, payee] = [people[n % 8]!, people[(n + 1) % 8]!];
      return payer.api.post('/v1/transfers', {
        fromAccountId: payer.accountId,
        toAccountId: payee.accountId,
        amount: { amount: 1, currency: 'EUR' },
      });
    });
    expect(tally(answers)).toEqual({ 201: 40 });
    expect(await findMistakes(database)).toEqual([]);
  });

  it('in session mode the service starts as it is', async () => {
    const core = await start(await through({ mode: 'session' }), { DATABASE_POOL_SIZE: '2' });
    await atOnce(4, async (n) => core.write(`in-session-mode-${n}`));
    expect(await database.query(`SELECT count(*)::int AS n FROM product`)).toEqual([{ n: 4 }]);
  });
});

/** Has a pooler open all its sessions: each is held until the last one is. */
async function fill(url: string, size: number): Promise<void> {
  const clients = Array.from({ length: size }, () => new pg.Client({ connectionString: url }));
  await Promise.all(clients.map((client) => client.connect()));
  await Promise.all(clients.map((client) => client.query('BEGIN')));
  await Promise.all(clients.map((client) => client.query('COMMIT')));
  await Promise.all(clients.map((client) => client.end()));
}
