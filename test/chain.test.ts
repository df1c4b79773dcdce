import { createHash } from 'node:crypto';
import pg from 'pg';
import { newId, showId } from '../src/kernel/ids.ts';
import { ReservationSweep } from '../src/modules/ledger/reservation-sweep.service.ts';
import { batchSize, ChainAheadError, ChainService } from '../src/modules/audit/chain.service.ts';
import { Transactions } from '../src/transactions/transactions.ts';
import { serve, startApp, type TestApp } from './support/app.ts';
import { findMistakes } from './support/books.ts';
import { fullCount } from './support/counts.ts';
import { atOnce, crowd, eventually, inFlight } from './support/crowd.ts';
import { makers, type Person, uuidOf } from './support/make.ts';
import { randomFrom } from './support/random.ts';

// Of transfers that two instances seal in the background.
const many = fullCount(250, 1000);

let service: TestApp;
let chain: ChainService;
let superuser: pg.Client;
let people: Person[];
/** Transfers that were pending, by what became of them. */
let once: { readonly posted: string; readonly voided: string; readonly expired: string; readonly pending: string };

beforeAll(async () => {
  // What a superuser writes past the service is read at once.
  service = await startApp({ DATABASE_READ_CONSISTENCY: 'primary' });
  chain = service.app.get(ChainService);
  superuser = new pg.Client({ connectionString: service.database.urls.superuser });
  await superuser.connect();
  people = await crowd(service, 4, { balance: 100_000 });
});
afterAll(async () => {
  expect(await findMistakes(service.database)).toEqual([]);
  await superuser.end();
  await service.close();
});

const eur = (amount: number) => ({ amount, currency: 'EUR' });
const body = (from: Person, to: Person) => ({
  fromAccountId: from.accountId,
  toAccountId: to.accountId,
  amount: eur(1),
});
/** A transfer over HTTP; gives its UUID. */
async function transfer(n = 0): Promise<string> {
  const [from, to] = [people[n % 4]!, people[(n + 1) % 4]!];
  return uuidOf((await from.api.post('/v1/transfers', body(from, to)).expect(201)).body.id);
}

/**
 * Waits until all that is stored can be sealed: a transaction in another database of the server holds it up as well, and other tests run there.
 */
const untilSealable = () =>
  eventually(
    () =>
      service.database.query<{ is: boolean }>(
        `SELECT pg_snapshot_xmin(pg_current_snapshot())::text::bigint > max(txid) AS is
         FROM (SELECT txid FROM transfer UNION ALL SELECT txid FROM settlement) AS stored`,
      ),
    ([row]) => row!.is,
  );

/** Seals all; gives how many there were. */
async function sealAll(by: ChainService = chain): Promise<number> {
  await untilSealable();
  let sealed = 0;
  for (let n = await by.seal(); n > 0; n = await by.seal()) sealed += n;
  return sealed;
}

interface Stored {
  readonly seq: number;
  readonly item: string;
  readonly id: string;
  readonly txid: number;
  readonly hash: string;
}
const links = () =>
  service.database.query<Stored>(
    `SELECT seq::int, item::text, transfer_id::text AS id, txid::int, encode(hash, 'hex') AS hash FROM chain_link ORDER BY seq`,
  );
/** What is to be sealed: of each transfer and of each settlement the id of the transfer, in their order. */
const stored = async () =>
  (
    await service.database.query<{ id: string }>(
      `SELECT id::text FROM (SELECT txid, 'transfer' AS item, id FROM transfer UNION ALL SELECT txid, 'settlement', transfer_id FROM settlement) AS i
       ORDER BY txid, item, id`,
    )
  ).map(({ id }) => id);

const right = { fault: null, unsealed: 0n };

describe('the chain', () => {
  it('holds every transfer once, in the order of their transactions', async () => {
    await inFlight(8, 40, transfer);
    await sealAll();
    const all = await links();
    expect(all.map(({ id }) => id)).toEqual(await stored());
    expect(all.map(({ seq }) => seq)).toEqual(all.map((_, n) => n + 1));
    expect(await chain.verify()).toMatchObject({ ...right, head: { seq: BigInt(all.length) } });
    expect(await chain.seal()).toBe(0);
  });

  it('seals a pending transfer as it was made, and what becomes of it by a link of its own', async () => {
    const [ada, bob] = [people[0]!, people[1]!];
    const send = async (amount: number, more: object = { type: 'pending' }): Promise<string> => {
      const sent = { ...body(ada, bob), amount: eur(amount), ...more };
      return uuidOf((await ada.api.post('/v1/transfers', sent).expect(201)).body.id);
    };
    const path = (id: string, action: string) => `/v1/transfers/${showId('tr', id)}/${action}`;
    const posted = await send(40);
    const voided = await send(20);
    const expired = await send(60_000, { type: 'pending', expiresInSeconds: 1 });
    once = { posted, voided, expired, pending: await send(10) };
    expect(await sealAll()).toBe(4);
    expect(await chain.verify()).toMatchObject(right);

    await ada.api.post(path(posted, 'post'), { amount: eur(30) }).expect(200);
    // The link of the pending one still fits.
    expect(await chain.verify()).toMatchObject({ fault: null, unsealed: 1n });
    await ada.api.post(path(voided, 'void')).expect(200);
    expect(await sealAll()).toBe(2);
    expect(await chain.verify()).toMatchObject(right);

    await eventually(
      () =>
        service.database.query<{ isOver: boolean }>(
          `SELECT expires_at <= statement_timestamp() AS "isOver" FROM transfer WHERE id = '${expired}'`,
        ),
      ([row]) => row?.isOver === true,
    );
    // More than is free as long as the other one counts; that it expired is written down behind everybody.
    const next = await send(70_000, {});
    await service.app.get(ReservationSweep).removeExpired({ most: 1000, from: null });
    const { body: reversal } = await bob.api.post(path(posted, 'reversals'), { amount: eur(20) }).expect(201);
    expect(await sealAll()).toBe(3);
    expect(await chain.verify()).toMatchObject(right);
    expect((await links()).slice(-9).map(({ item, id }) => [item, id])).toEqual([
      ...Object.values(once).map((id) => ['transfer', id]),
      ['settlement', posted],
      ['settlement', voided],
      ['transfer', next],
      ['settlement', expired],
      ['transfer', uuidOf(reversal.id)],
    ]);
    const outcomes = await service.database.query('SELECT outcome::text FROM settlement ORDER BY txid');
    expect(outcomes).toEqual(['posted', 'voided', 'expired'].map((outcome) => ({ outcome })));
  });

  it('is what anybody can compute from the tables', async () => {
    const time = (column: string) => `to_char(${column} AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"')`;
    const entriesOf = (id: string) => `coalesce((
      SELECT jsonb_agg(jsonb_build_array(e.account_id, e.seq::text, e.amount::text, e.balance_after::text, ${time('e.created_at')})
        ORDER BY e.account_id) FROM entry e WHERE e.transfer_id = ${id}), '[]')`;
    const [row] = await service.database.query<{ text: string[] }>(`
      SELECT array_agg(text ORDER BY seq) AS text FROM chain_link l JOIN LATERAL (
        SELECT jsonb_build_array('transfer', t.txid::text, t.id, t.kind, t.from_account_id, t.to_account_id, t.amount::text, t.currency, t.note,
          ${time('t.expires_at')}, t.reverses_id, t.reversal_seq::text, t.reversed_total::text, t.created_by_id, ${time('t.created_at')},
          CASE WHEN t.expires_at IS NULL THEN ${entriesOf('t.id')} ELSE '[]' END)::text AS text
        FROM transfer t WHERE l.item = 'transfer' AND t.id = l.transfer_id
        UNION ALL
        SELECT jsonb_build_array('settlement', s.txid::text, s.transfer_id, s.outcome, s.amount::text, s.created_by_id, ${time('s.created_at')},
          ${entriesOf('s.transfer_id')})::text
        FROM settlement s WHERE l.item = 'settlement' AND s.transfer_id = l.transfer_id) AS canonical ON true`);
    expect(new Set(row!.text.map((text) => (JSON.parse(text) as string[])[0]))).toEqual(
      new Set(['transfer', 'settlement']),
    );
    const sha256 = (...parts: (string | Buffer)[]) =>
      parts.reduce((hash, part) => hash.update(part), createHash('sha256')).digest();
    const last = row!.text.reduce(
      (before, text) => sha256(before, JSON.stringify(JSON.parse(text))),
      sha256('holdfast ledger chain 1'),
    );
    expect((await links()).at(-1)?.hash).toBe(last.toString('hex'));
  });

  it('is shown to operators by its end', async () => {
    const { api } = await makers(service).operator();
    const last = (await links()).at(-1)!;
    const { body: shown } = await api.get('/v1/ledger/chain').expect(200);
    expect(shown).toEqual({
      object: 'ledger_chain',
      length: last.seq,
      head: last.hash,
      sealedUpTo: showId('tr', last.id),
      sealedAt: expect.stringMatching(/^\d{4}-.*Z$/),
    });
    await people[0]!.api.get('/v1/ledger/chain').expect(403);
  });

  it('is sealed a batch at a time', async () => {
    const from = await superuser.query<{ id: string }>(`SELECT id FROM account WHERE house IS NULL LIMIT 2`);
    const [one, two] = from.rows.map(({ id }) => id) as [string, string];
    // Past the rules, and with entries that cancel out: so many by HTTP would take long. All in one transaction, hence in the order of their ids.
    await superuser.query(`
      SET session_replication_role = replica;
      WITH moved AS (
        INSERT INTO transfer (id, kind, from_account_id, to_account_id, amount, currency, created_by_id)
        SELECT gen_random_uuid(), 'transfer', CASE n % 2 WHEN 0 THEN '${one}' ELSE '${two}' END::uuid,
          CASE n % 2 WHEN 0 THEN '${two}' ELSE '${one}' END::uuid, 1, 'EUR', '${one}' FROM generate_series(1, ${2 * batchSize + 100}) AS n
        RETURNING *),
      sides AS (
        SELECT id, from_account_id AS account, -amount AS amount FROM moved UNION ALL SELECT id, to_account_id, amount FROM moved),
      numbered AS (SELECT *, row_number() OVER w AS n, sum(amount) OVER w AS total FROM sides WINDOW w AS (PARTITION BY account ORDER BY id))
      INSERT INTO entry (account_id, seq, transfer_id, amount, balance_after)
      SELECT account, a.entry_count + n, s.id, amount, a.balance + total FROM numbered s JOIN account a ON a.id = s.account;
      UPDATE account a SET entry_count = e.n, balance = e.balance FROM (
        SELECT account_id, count(*) AS n, sum(amount) AS balance FROM entry GROUP BY account_id) AS e WHERE e.account_id = a.id;
      SET session_replication_role = DEFAULT`);
    await untilSealable();
    expect([await chain.seal(), await chain.seal(), await chain.seal(), await chain.seal()]).toEqual([
      batchSize,
      batchSize,
      100,
      0,
    ]);
    expect((await links()).map(({ id }) => id)).toEqual(await stored());
    expect(await chain.verify()).toMatchObject(right);
  });

  it('counts what is not sealed yet', async () => {
    const before = await chain.verify();
    for (let n = 0; n < 3; n++) await transfer(n);
    expect(await chain.verify()).toEqual({ ...before, unsealed: 3n });
    await sealAll();
    expect(await chain.verify()).toMatchObject(right);
  });

  it('may be continued by the application, and not rewritten', async () => {
    const app = new pg.Client({ connectionString: service.database.urls.app });
    await app.connect();
    for (const sql of [
      'DELETE FROM chain_link',
      `UPDATE chain_link SET hash = hash`,
      'UPDATE chain_link SET sealed_at = now()',
      'TRUNCATE chain_link',
    ])
      await expect(app.query(sql)).rejects.toMatchObject({ code: '42501' });
    await app.end();
  });
});

describe('beside writers', () => {
  const opened: pg.Client[] = [];
  // Also when a test fails: it holds locks.
  afterEach(() => Promise.all(opened.splice(0).map((client) => client.end())));

  /** One that writes by hand, as the application, and takes its time. */
  async function open(): Promise<{ id: string; client: pg.Client }> {
    const client = new pg.Client({ connectionString: service.database.urls.app });
    opened.push(client);
    await client.connect();
    const [id, [from, to]] = [newId(), [uuidOf(people[0]!.accountId), uuidOf(people[1]!.accountId)]];
    await client.query('BEGIN');
    for (const [account, sign] of [
      [from, '-'],
      [to, '+'],
    ])
      await client.query(
        `UPDATE account SET balance = balance ${sign} 1, entry_count = entry_count + 1 WHERE id = '${account}'`,
      );
    await client.query(`INSERT INTO transfer (id, kind, from_account_id, to_account_id, amount, currency, created_by_id)
      VALUES ('${id}', 'transfer', '${from}', '${to}', 1, 'EUR', '${from}')`);
    await client.query(`INSERT INTO entry (account_id, seq, transfer_id, amount, balance_after)
      SELECT id, entry_count, '${id}', CASE id WHEN '${from}' THEN -1 ELSE 1 END, balance FROM account WHERE id IN ('${from}', '${to}')`);
    return { id, client };
  }

  it('waits for one that began earlier and is still at work, and skips nothing', async () => {
    await sealAll();
    const late = await open();
    const [from, to] = [people[2]!, people[3]!];
    const done: string[] = [];
    for (let n = 0; n < 5; n++)
      done.push(uuidOf((await from.api.post('/v1/transfers', body(from, to)).expect(201)).body.id));
    expect(await chain.seal()).toBe(0);
    await late.client.query('COMMIT');
    expect(await sealAll()).toBe(6);
    expect((await links()).slice(-6).map(({ id }) => id)).toEqual([late.id, ...done]);
    expect(await chain.verify()).toMatchObject(right);
  });

  it('waits with a settlement for one that began earlier, too', async () => {
    const [from, to] = [people[2]!, people[3]!];
    const made = await from.api.post('/v1/transfers', { ...body(from, to), type: 'pending' }).expect(201);
    await sealAll();
    const late = await open();
    await from.api.post(`/v1/transfers/${made.body.id}/void`).expect(200);
    expect(await chain.seal()).toBe(0);
    await late.client.query('COMMIT');
    expect(await sealAll()).toBe(2);
    expect((await links()).slice(-2)).toMatchObject([
      { item: 'transfer', id: late.id },
      { item: 'settlement', id: uuidOf(made.body.id) },
    ]);
    expect(await chain.verify()).toMatchObject(right);
  });

  it('goes on when that one is given up', async () => {
    const late = await open();
    const id = await transfer(2);
    expect(await chain.seal()).toBe(0);
    await late.client.query('ROLLBACK');
    expect(await sealAll()).toBe(1);
    expect((await links()).at(-1)?.id).toBe(id);
  });

  it('makes nobody wait: neither its turn nor its rows are in the way of a transfer', async () => {
    const ids = await inFlight(4, 8, transfer);
    const locks = async () =>
      service.database.query(`SELECT id, xmax::text FROM transfer WHERE id = ANY ($1::uuid[]) ORDER BY id`, [ids]);
    const before = await locks();
    await untilSealable();
    let [isSealed, release] = [(): void => undefined, (): void => undefined];
    const sealed = new Promise<void>((resolve) => (isSealed = resolve));
    const held = new Promise<void>((resolve) => (release = resolve));
    const sealing = service.app.get(Transactions).run({ name: 'test' }, async () => {
      expect(await chain.seal()).toBe(8);
      isSealed();
      await held;
    });
    await Promise.race([sealed, sealing]);
    // While it has its turn, another gets none, and does not wait for it either.
    expect(await chain.seal()).toBe(0);
    await inFlight(4, 8, transfer);
    expect(await links()).not.toContainEqual(expect.objectContaining({ id: ids[0] }));
    release();
    await sealing;
    expect(await sealAll()).toBe(8);
    expect(await locks()).toEqual(before);
    expect(await chain.verify()).toMatchObject(right);
  });

  it('is one chain when two instances seal at once', async () => {
    const second = await serve(service.database);
    const other = second.app.get(ChainService);
    try {
      for (let round = 0; round < 10; round++) {
        await inFlight(8, 8, transfer);
        await untilSealable();
        const sealed = await atOnce(8, (n) => (n % 2 === 0 ? chain : other).seal());
        expect(sealed.reduce((sum, n) => sum + n, 0)).toBe(8);
        await sealAll(other);
      }
    } finally {
      await second.app.close();
    }
    expect((await links()).map(({ id }) => id)).toEqual(await stored());
    expect(await chain.verify()).toMatchObject(right);
  });

  it(`seals ${many} transfers that come at once, each once, by two instances in the background`, async () => {
    const sealers = await Promise.all([1, 2].map(() => serve(service.database, { LEDGER_SEAL_INTERVAL_MS: '5' })));
    const before = (await links()).length;
    const ids = await inFlight(24, many, transfer);
    await eventually(
      async () => (await links()).length - before,
      (n) => n === many,
    );
    await Promise.all(sealers.map(({ app }) => app.close()));
    const sealed = (await links()).slice(before).map(({ id }) => id);
    expect([...sealed].sort()).toEqual([...ids].sort());
    expect((await links()).map(({ id }) => id)).toEqual(await stored());
    expect(await chain.verify()).toMatchObject(right);
  });

  it('stops with its instance: it ends what it is at, and nothing is tried behind its end', async () => {
    await sealAll();
    // Holds up what is appended, and, being given no id, nothing else.
    await superuser.query('BEGIN; LOCK TABLE chain_link IN SHARE MODE');
    const { app } = await serve(service.database, { LEDGER_SEAL_INTERVAL_MS: '1' });
    const tries = jest.spyOn(app.get(ChainService), 'seal');
    const id = await transfer();
    await untilSealable();
    await eventually(
      () => superuser.query(`SELECT FROM pg_locks WHERE relation = 'chain_link'::regclass AND NOT granted`),
      ({ rowCount }) => rowCount === 1,
    );
    const closing = app.close();
    await superuser.query('COMMIT');
    await closing;
    const tried = tries.mock.calls.length;
    await expect(tries.mock.results.at(-1)?.value).resolves.toBe(1);
    expect((await links()).at(-1)?.id).toBe(id);
    await new Promise((resolve) => setTimeout(resolve, 100));
    expect(tries).toHaveBeenCalledTimes(tried);
  });
});

describe('what somebody with all rights changes behind the rules is found:', () => {
  const tables = ['transfer', 'settlement', 'entry', 'chain_link'];
  beforeAll(async () => {
    await inFlight(8, 30, transfer);
    await sealAll();
    for (const table of tables) await superuser.query(`CREATE TABLE kept_${table} AS TABLE ${table}`);
    await superuser.query('SET session_replication_role = replica');
  });
  // One of two that change places has the other's for a moment.
  beforeEach(() => superuser.query('DROP INDEX chain_item_is_sealed_once'));
  afterEach(async () => {
    for (const table of tables)
      await superuser.query(`DELETE FROM ${table}; INSERT INTO ${table} SELECT * FROM kept_${table}`);
    await superuser.query('CREATE UNIQUE INDEX chain_item_is_sealed_once ON chain_link (transfer_id, item)');
    expect(await chain.verify()).toMatchObject(right);
  });
  afterAll(async () => {
    for (const table of tables) await superuser.query(`DROP TABLE kept_${table}`);
    await superuser.query('SET session_replication_role = DEFAULT');
  });

  /** A link in the second half of the chain, another one every time: all there are of transfers that were posted at once. */
  async function middle(): Promise<Stored & { total: number }> {
    const all = await links();
    const n = randomFrom(Math.floor(performance.now())).whole(Math.floor(all.length / 2), all.length - 10);
    return { ...all[n]!, total: all.length };
  }
  const changed = 'does not fit: the transfer, its entries or the link were changed';

  it.each<[string, (link: Stored) => string]>([
    ['an amount', ({ id }) => `UPDATE transfer SET amount = amount + 1 WHERE id = '${id}'`],
    [
      'an amount and its entries',
      ({ id }) => `
      UPDATE transfer SET amount = amount * 2 WHERE id = '${id}'; UPDATE entry SET amount = amount * 2 WHERE transfer_id = '${id}'`,
    ],
    ['a note', ({ id }) => `UPDATE transfer SET note = 'another' WHERE id = '${id}'`],
    [
      'who received it',
      ({ id }) =>
        `UPDATE transfer SET to_account_id = (SELECT id FROM account WHERE house = 'cash' AND currency = 'USD') WHERE id = '${id}'`,
    ],
    ['when it was', ({ id }) => `UPDATE transfer SET created_at = created_at - interval '1 ms' WHERE id = '${id}'`],
    ['an entry that is gone', ({ id }) => `DELETE FROM entry WHERE transfer_id = '${id}' AND amount < 0`],
    ['a hash', ({ seq }) => `UPDATE chain_link SET hash = sha256(hash) WHERE seq = ${seq}`],
    [
      'two links that change places',
      ({ seq }) => `
      UPDATE chain_link l SET transfer_id = o.transfer_id, txid = o.txid FROM kept_chain_link o
      WHERE l.seq IN (${seq}, ${seq + 1}) AND o.seq = ${2 * seq + 1} - l.seq`,
    ],
  ])('%s', async (_, sql) => {
    const link = await middle();
    await superuser.query(sql(link));
    const { fault, head } = await chain.verify();
    expect(fault).toEqual({ seq: BigInt(link.seq), transferId: (await links())[link.seq - 1]!.id, what: changed });
    expect(head.seq).toBe(BigInt(link.seq - 1));
  });

  it.each<[string, Stored['item'], keyof typeof once, (id: string) => string]>([
    [
      'what was posted',
      'settlement',
      'posted',
      (id) => `UPDATE settlement SET amount = amount - 1 WHERE transfer_id = '${id}'`,
    ],
    [
      'who posted it',
      'settlement',
      'posted',
      (id) => `UPDATE settlement SET created_by_id = '${id}' WHERE transfer_id = '${id}'`,
    ],
    [
      'that it was posted',
      'settlement',
      'posted',
      (id) => `UPDATE settlement SET outcome = 'voided', amount = NULL WHERE transfer_id = '${id}'`,
    ],
    [
      'an entry of what was posted',
      'settlement',
      'posted',
      (id) => `UPDATE entry SET amount = amount * 2 WHERE transfer_id = '${id}'`,
    ],
    [
      'when it was voided',
      'settlement',
      'voided',
      (id) => `UPDATE settlement SET created_at = now() WHERE transfer_id = '${id}'`,
    ],
    [
      'an entry of what was voided',
      'settlement',
      'voided',
      (id) => `INSERT INTO entry (account_id, seq, transfer_id, amount, balance_after)
        SELECT account_id, 1000000, '${id}', amount, balance_after FROM entry WHERE transfer_id = '${once.posted}'`,
    ],
    [
      'that it expired',
      'settlement',
      'expired',
      (id) => `UPDATE settlement SET outcome = 'voided', created_by_id = '${id}' WHERE transfer_id = '${id}'`,
    ],
    [
      'until when it is pending',
      'transfer',
      'pending',
      (id) => `UPDATE transfer SET expires_at = now() WHERE id = '${id}'`,
    ],
    ['that it is pending', 'transfer', 'pending', (id) => `UPDATE transfer SET expires_at = NULL WHERE id = '${id}'`],
  ])('of a transfer that was pending: %s', async (_, item, which, sql) => {
    await superuser.query(sql(once[which]));
    const { seq, id } = (await links()).find((link) => link.item === item && link.id === once[which])!;
    const what = `does not fit: the ${item}, its entries or the link were changed`;
    expect((await chain.verify()).fault).toEqual({ seq: BigInt(seq), transferId: id, what });
  });

  it('how much had been reversed with a reversal', async () => {
    await superuser.query(
      `UPDATE transfer SET reversed_total = reversed_total - 1 WHERE reverses_id = '${once.posted}'`,
    );
    expect((await chain.verify()).fault).toMatchObject({ what: changed });
  });

  it('a settlement that is gone', async () => {
    await superuser.query(`DELETE FROM settlement WHERE transfer_id = '${once.voided}'`);
    const { seq } = (await links()).find(({ item, id }) => item === 'settlement' && id === once.voided)!;
    const what = 'seals a settlement that is not there any more';
    expect((await chain.verify()).fault).toEqual({ seq: BigInt(seq), transferId: once.voided, what });
  });

  it('a settlement that was put in later, before the end', async () => {
    await superuser.query(`INSERT INTO settlement (transfer_id, outcome, created_by_id, txid)
      SELECT id, 'voided', created_by_id, txid FROM transfer WHERE id = '${once.pending}'`);
    const what =
      'has a settlement before the end of the chain that is in no link: it was added later, or its link was removed';
    expect((await chain.verify()).fault).toEqual({ seq: null, transferId: once.pending, what });
  });

  it('a transfer that is gone, with its entries', async () => {
    const { seq, id } = await middle();
    await superuser.query(`DELETE FROM transfer WHERE id = '${id}'; DELETE FROM entry WHERE transfer_id = '${id}'`);
    const what = 'seals a transfer that is not there any more';
    expect((await chain.verify()).fault).toEqual({ seq: BigInt(seq), transferId: id, what });
  });

  it('a transfer that is gone, while its settlement stays', async () => {
    const id = once.voided;
    await superuser.query(`DELETE FROM transfer WHERE id = '${id}'`);
    const { seq } = (await links()).find((link) => link.item === 'transfer' && link.id === id)!;
    const what = 'seals a transfer that is not there any more';
    expect((await chain.verify()).fault).toEqual({ seq: BigInt(seq), transferId: id, what });
  });

  it('a transfer that is gone, with its entries and its link', async () => {
    const { seq, id } = await middle();
    await superuser.query(`DELETE FROM transfer WHERE id = '${id}'; DELETE FROM entry WHERE transfer_id = '${id}';
      DELETE FROM chain_link WHERE seq = ${seq}`);
    const what = `is missing: the next one there is ${seq + 1}`;
    expect((await chain.verify()).fault).toEqual({ seq: BigInt(seq), transferId: null, what });
  });

  it('a transfer whose transaction is another one', async () => {
    const { seq, id } = await middle();
    await superuser.query(`UPDATE transfer SET txid = txid + 1 WHERE id = '${id}'`);
    const what = 'says another transaction than its transfer';
    expect((await chain.verify()).fault).toEqual({ seq: BigInt(seq), transferId: id, what });
  });

  it('a transfer that was put in later, before the end', async () => {
    const { id } = await middle();
    const added = newId();
    await superuser.query(`INSERT INTO transfer (id, kind, from_account_id, to_account_id, amount, currency, created_by_id, txid)
      SELECT '${added}', kind, from_account_id, to_account_id, amount, currency, created_by_id, txid FROM transfer WHERE id = '${id}'`);
    const what = 'stands before the end of the chain and is in no link: it was added later, or its link was removed';
    expect((await chain.verify()).fault).toEqual({ seq: null, transferId: added, what });
  });

  it('a chain that was rewritten to its end, by whoever has noted a link of it; and by nobody else', async () => {
    const { seq, id, hash, total } = await middle();
    await superuser.query(
      `UPDATE transfer SET amount = amount + 1 WHERE id = '${id}'; DELETE FROM chain_link WHERE seq >= ${seq}`,
    );
    await sealAll();
    const { fault, head } = await chain.verify();
    expect([fault, head.seq]).toEqual([null, BigInt(total)]);
    const what = 'is not the one that was noted: the chain was rewritten';
    expect((await chain.verify({ seq: BigInt(seq), hash })).fault).toEqual({ seq: BigInt(seq), transferId: id, what });
  });

  it('a chain whose end was cut off, by whoever has noted its length', async () => {
    const { total } = await middle();
    await superuser.query(`DELETE FROM chain_link WHERE seq > ${total - 3}`);
    expect(await chain.verify()).toMatchObject({ fault: null, unsealed: 3n });
    const { fault } = await chain.verify({ seq: BigInt(total), hash: 'f'.repeat(64) });
    expect(fault).toEqual({ seq: BigInt(total - 2), transferId: null, what: `is missing: link ${total} was noted` });
  });

  it('after a restore that gives transaction ids out again nothing is sealed in a wrong order: it is said', async () => {
    expect(await chain.findAhead()).toBeNull();
    await superuser.query(
      `UPDATE transfer SET txid = txid + 1000000000; UPDATE chain_link SET txid = txid + 1000000000`,
    );
    await expect(chain.seal()).rejects.toThrow(ChainAheadError);
    expect(await chain.findAhead()).toBeInstanceOf(ChainAheadError);
  });
});
