/** @servers any */
import { spawn } from 'node:child_process';
import { join } from 'node:path';
import pg from 'pg';
import { showId } from '../src/kernel/ids.ts';
import { ChainService, hex, type Verification } from '../src/modules/audit/chain.service.ts';
import { startApp, type TestApp } from './support/app.ts';
import { findMistakes } from './support/books.ts';
import { crowd, eventually } from './support/crowd.ts';
import { type Person, uuidOf } from './support/make.ts';
import { buildService, leastEnvironment } from './support/process.ts';
import { testSecret } from './support/secret.ts';

// The commands around the chain. That it finds what it should find is shown in test/chain.test.ts, on each server.

let service: TestApp;
let chain: ChainService;
let superuser: pg.Client;
let people: Person[];

beforeAll(async () => {
  await buildService();
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

/** A transaction in another database of the server holds it up as well, and other tests run there. */
async function sealAll(): Promise<void> {
  await eventually(
    () =>
      service.database.query<{ is: boolean }>(
        'SELECT pg_snapshot_xmin(pg_current_snapshot())::text::bigint > max(txid) AS is FROM transfer',
      ),
    ([row]) => row!.is,
  );
  while ((await chain.seal()) > 0);
}

async function transfer(): Promise<void> {
  const [from, to] = people as [Person, Person];
  const body = {
    fromAccountId: from.accountId,
    toAccountId: to.accountId,
    amount: { amount: 1, currency: 'EUR' },
  };
  await from.api.post('/v1/transfers', body).expect(201);
}

function runTool(
  name: string,
  variables: Record<string, string>,
  ...args: string[]
): Promise<{ code: number | null; out: string; said: string }> {
  const given = {
    DATABASE_WRITE_URL: service.database.urls.app,
    AUTH_SECRET: testSecret,
    ...variables,
  };
  const child = spawn(process.execPath, [join('tools', name), ...args], { env: { ...leastEnvironment(), ...given } });
  let [out, said] = ['', ''];
  child.stdout.on('data', (chunk: Buffer) => (out += chunk.toString()));
  child.stderr.on('data', (chunk: Buffer) => (said += chunk.toString()));
  return new Promise((resolve) => child.once('close', (code) => resolve({ code, out, said })));
}
const noted = ({ head }: Verification): string => `${head.seq}:${hex(head.hash)}`;

describe('npm run restore:check', () => {
  const run = (...args: string[]) => runTool('restore-check.mjs', {}, ...args);

  it('ends with 0 when books and chain are right and what comes can be sealed', async () => {
    await sealAll();
    const verification = await chain.verify();
    const { code, out } = await run(noted(verification));
    expect([code, out]).toEqual([0, expect.stringContaining(`Head: ${noted(verification)}\n`)]);
    expect(out).toContain('The books are right.\n');
  });

  it('ends with 1 when the books are wrong, a noted link is missing, or the server gives out transaction ids again', async () => {
    const account = uuidOf(people[0]!.accountId);
    const add = (amount: number) =>
      superuser.query(`SET session_replication_role = replica; UPDATE account SET balance = balance + ${amount} WHERE id = '${account}';
        SET session_replication_role = DEFAULT`);
    await add(1);
    try {
      expect(await run()).toMatchObject({
        code: 1,
        out: expect.stringContaining('an account is not the sum of its entries'),
      });
    } finally {
      await add(-1);
    }
    const { head } = await chain.verify();
    const later = `${head.seq + 1n}:${'f'.repeat(64)}`;
    expect(await run(later)).toMatchObject({
      code: 1,
      out: expect.stringContaining(`is missing: link ${head.seq + 1n} was noted`),
    });
    const { horizon } = (await superuser.query('SELECT pg_snapshot_xmin(pg_current_snapshot())::text AS horizon'))
      .rows[0];
    const seal = (txid: string) => superuser.query(`UPDATE chain_link SET txid = $1 WHERE seq = $2`, [txid, head.seq]);
    await seal(String(BigInt(horizon) + 1_000_000n));
    try {
      expect(await run()).toMatchObject({ code: 1, out: expect.stringContaining('The chain has sealed transaction') });
    } finally {
      await seal(String(head.place!.txid));
    }
    expect(await run()).toMatchObject({ code: 0 });
  });

  it('ends with 2 when it is called in another way', async () => {
    expect(await run('12')).toMatchObject({ code: 2, out: '' });
  });
});

describe('npm run ledger:verify', () => {
  const run = (variables: Record<string, string>, ...args: string[]) =>
    runTool('verify-ledger.mjs', variables, ...args);

  it('ends with 0, the number of links and the head', async () => {
    await sealAll();
    const verification = await chain.verify();
    await transfer();
    const { code, out } = await run({});
    expect([code, out]).toEqual([
      0,
      `${verification.head.seq} links are right. Head: ${noted(verification)}\n1 item is not sealed yet.\n`,
    ]);
    expect(await run({}, noted(verification))).toMatchObject({ code: 0, out });
    // It has sealed nothing itself.
    expect((await chain.verify()).unsealed).toBe(1n);
  });

  it('ends with 1 and the first link that is wrong', async () => {
    await sealAll();
    const [third] = await service.database.query<{ id: string }>(
      'SELECT transfer_id::text AS id FROM chain_link WHERE seq = 3',
    );
    const change = (sign: '+' | '-') =>
      superuser.query(`SET session_replication_role = replica; UPDATE transfer SET amount = amount ${sign} 1 WHERE id = '${third!.id}';
        SET session_replication_role = DEFAULT`);
    await change('+');
    try {
      const { code, out } = await run({});
      expect(code).toBe(1);
      expect(out).toMatch(
        new RegExp(
          `^Link 3, of transfer ${showId('tr', third!.id)}, does not fit: the transfer, its entries or the link were changed\\.\n2 links are right\\. Head: 2:[0-9a-f]{64}\n\\d+ items are not sealed by them\\.\n$`,
        ),
      );
    } finally {
      await change('-');
    }
  });

  it('ends with 2 and one sentence when it could not be found out', async () => {
    const away = await run({ DATABASE_WRITE_URL: 'postgres://app:hidden@127.0.0.1:1/db' });
    expect([away.code, away.out]).toEqual([2, '']);
    expect(away.said).toMatch(/^.*ECONNREFUSED 127\.0\.0\.1:1.*\n$/m);
    expect(away.said).not.toContain('hidden');
    expect(await run({}, '12')).toEqual({
      code: 2,
      out: '',
      said: 'Usage: npm run ledger:verify [-- <length>:<head>], the head in 64 hexadecimal digits.\n',
    });
  });
});
