/** @servers any */
import pg from 'pg';
import { isBalanced } from '../src/modules/audit/trial-balance.ts';
import { startApp, type TestApp } from './support/app.ts';
import { findMistakes } from './support/books.ts';
import { fullCount } from './support/counts.ts';
import { crowd, underLoad } from './support/crowd.ts';
import { makers, type Person } from './support/make.ts';
import { recordStatements } from './support/statements.ts';

let service: TestApp;
let operator: Person;
let people: Person[];
beforeAll(async () => {
  service = await startApp();
  operator = await makers(service).operator();
  people = await crowd(service, 4, { balance: 10_000 });
});
afterAll(async () => {
  expect(await findMistakes(service.database)).toEqual([]);
  await service.close();
});

const read = async () => (await operator.api.get('/v1/ledger/trial-balance').expect(200)).body;
const transfer = (n: number) => {
  const [from, to] = [people[n % 4]!, people[(n + 1) % 4]!];
  const amount = { amount: 1, currency: 'EUR' };
  return from.api
    .post('/v1/transfers', { fromAccountId: from.accountId, toAccountId: to.accountId, amount })
    .expect(201);
};

describe('the trial balance', () => {
  it('shows the totals of every currency, and that they are balanced', async () => {
    await transfer(0);
    const { object, asOf, balanced, currencies } = await read();
    expect([object, balanced]).toEqual(['trial_balance', true]);
    expect(Math.abs(Date.parse(asOf) - Date.now())).toBeLessThan(60_000);
    expect(currencies.map(({ currency }: { currency: string }) => currency)).toEqual([
      'BHD',
      'CHF',
      'EUR',
      'GBP',
      'JPY',
      'KWD',
      'SEK',
      'USD',
    ]);
    const nothing = {
      debits: '0',
      credits: '0',
      balances: '0',
      accountCount: 2,
      transferCount: 0,
      entryCount: 0,
      balanced: true,
    };
    for (const totals of currencies)
      expect(totals).toEqual(
        totals.currency === 'EUR'
          ? {
              ...nothing,
              currency: 'EUR',
              debits: '40001',
              credits: '40001',
              accountCount: 6,
              transferCount: 5,
              entryCount: 10,
            }
          : { ...nothing, currency: totals.currency },
      );
  });

  it('is for operators', async () => {
    await people[0]!.api.get('/v1/ledger/trial-balance').expect(403);
    await service.as().get('/v1/ledger/trial-balance').expect(401);
  });

  it('is read in one read-only snapshot, on the replica', async () => {
    await read();
    const statements = recordStatements();
    await read();
    statements.stop();
    const sent = statements.take().filter(({ text }) => !text.includes('_lsn('));
    // On the primary, and before the snapshot: whether the operator's session is going on.
    const isStanding = ({ text }: { text: string }) => text.startsWith('SELECT s.id, u.role FROM session s ');
    const books = sent.filter((one) => !isStanding(one));
    expect(books[0]?.text).toMatch(/^BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; /);
    expect([...new Set(books.map(({ connection }) => connection))]).toEqual(['holdfast read']);
    expect(sent.filter(isStanding).map(({ connection }) => connection)).toEqual(['holdfast look-ups']);
  });

  it('is balanced at every moment while money moves', async () => {
    const seen = new Set<number>();
    await underLoad(8, transfer, async () => {
      for (let round = 0; round < fullCount(60, 1000); round++) {
        const { balanced, currencies } = await read();
        expect({ round, balanced, currencies }).toMatchObject({ balanced: true });
        seen.add(currencies[2].transferCount);
        for (const { transferCount, entryCount } of currencies) expect(entryCount).toBe(2 * transferCount);
      }
    });
    // Money did move between the readings.
    expect(seen.size).toBeGreaterThan(10);
  });

  it.each([
    ['a balance', `UPDATE account SET balance = balance + 1 WHERE house IS NULL`, { balances: '4' }],
    ['an entry', `UPDATE entry SET amount = amount + 1 WHERE seq = 1 AND amount > 0`, {}],
    ['a count of entries', `UPDATE account SET entry_count = entry_count + 1 WHERE house IS NULL`, {}],
  ])('is not balanced when somebody with all rights has changed %s', async (_, sql, shown) => {
    const own = await startApp({ DATABASE_READ_CONSISTENCY: 'primary' });
    const superuser = new pg.Client({ connectionString: own.database.urls.superuser });
    await superuser.connect();
    try {
      await crowd(own, 4, { balance: 100 });
      await superuser.query(`SET session_replication_role = replica; ${sql}`);
      const { api } = await makers(own).operator();
      const { body } = await api.get('/v1/ledger/trial-balance').expect(200);
      expect(body.balanced).toBe(false);
      for (const totals of body.currencies) expect(totals.balanced).toBe(totals.currency !== 'EUR');
      expect(body.currencies[2]).toMatchObject(shown);
    } finally {
      await superuser.end();
      await own.close();
    }
  });
});

describe('a currency', () => {
  const totals = { currency: 'EUR', accountCount: 3n, transferCount: 1n };
  const right = { ...totals, debits: 5n, credits: 5n, balances: 0n, entryCount: 2n, countedEntries: 2n };
  it.each([
    ['balanced', {}, true],
    ['not balanced when less arrived than left', { credits: 4n }, false],
    ['not balanced when the balances are something', { balances: 1n }, false],
    ['not balanced when an account has another number of entries than it says', { countedEntries: 3n }, false],
  ])('is %s', (_, change, expected) => expect(isBalanced({ ...right, ...change })).toBe(expected));
});
