import type { TransactionOptions } from '../src/transactions/boundary/options.ts';
import { TransactionJoinError } from '../src/transactions/errors.ts';
import { type Bare, errorOf, fresh, startBare } from './support/bare.ts';
import { createDatabase, type TestDatabase } from './support/database.ts';

let database: TestDatabase;
let core: Bare;
beforeAll(async () => {
  database = await createDatabase();
  core = await startBare({ app: database.urls.app }, { DATABASE_POOL_SIZE: '2' });
});
afterAll(async () => {
  await core.close();
  await database.drop();
});

// The lattice: what an outer boundary may give, and what an inner one may ask for. Milliseconds.
const levels = ['read-committed', 'repeatable-read', 'serializable'] as const;
const outerTimes = [null, 9_000, 20_000];
const shorterMs = 1000; // than any outer one
const longerMs = 60_000;
const usualMs = 10_000; // DATABASE_TRANSACTION_TIMEOUT_MS, DATABASE_STATEMENT_TIMEOUT_MS

interface Cell {
  readonly level: (typeof levels)[number] | undefined;
  readonly readOnly: boolean | undefined;
  readonly ms: number | null;
}
const cells = (level: readonly Cell['level'][], readOnly: readonly Cell['readOnly'][], ms: readonly Cell['ms'][]) =>
  level.flatMap((l) => readOnly.flatMap((r) => ms.map((m): Cell => ({ level: l, readOnly: r, ms: m }))));
const outers = cells(levels, [false, true], outerTimes);
const inners = cells([undefined, ...levels], [undefined, false, true], [null, shorterMs, longerMs]);

const optionsOf = ({ level, readOnly, ms }: Cell): TransactionOptions => ({
  ...(level !== undefined && { isolation: level }),
  ...(readOnly !== undefined && { readOnly }),
  ...(ms !== null && { timeout: ms }),
});

/** The rule, as the contract says it (G8), and not as the code does: why the inner one is refused; null when it joins. */
function refusal(outer: Cell, inner: Cell): string | null {
  const strictness = { 'read-committed': 1, 'repeatable-read': 2, serializable: 3 };
  if (outer.readOnly === true && inner.readOnly !== true) return 'more access';
  if (strictness[inner.level ?? 'read-committed'] > strictness[outer.level ?? 'read-committed'])
    return 'a stricter level';
  if (inner.ms === longerMs) return 'more time';
  return null;
}

interface Shown {
  readonly isolation: string;
  readonly readOnly: string;
  readonly ms: number;
}
async function shown(): Promise<Shown> {
  const [row] = await core.db.$queryRaw<Shown[]>`
    SELECT current_setting('transaction_isolation') AS isolation, current_setting('transaction_read_only') AS "readOnly",
      (SELECT setting::int FROM pg_settings WHERE name = 'statement_timeout') AS ms`;
  return row!;
}

/** What the server must say inside. */
function expectGranted(granted: Shown, outer: Cell, innerMs: number | null): void {
  expect(granted).toMatchObject({ isolation: outer.level?.replace('-', ' '), readOnly: outer.readOnly ? 'on' : 'off' });
  const mostMs = Math.min(innerMs ?? Infinity, outer.ms ?? usualMs);
  expect(granted.ms).toBeGreaterThan(0);
  expect(granted.ms).toBeLessThanOrEqual(mostMs);
  // What is left of it, not some other limit: the rest of the table has been looked at meanwhile.
  expect(granted.ms).toBeGreaterThan(mostMs === shorterMs ? 0 : mostMs / 20);
}

const named = ({ level, readOnly, ms }: Cell): string =>
  `${level ?? 'usual'} ${readOnly === true ? 'read-only' : 'write'} ${ms ?? 'usual'}`;

describe.each(['required', 'nested', 'mandatory'] as const)('%s', (propagation) => {
  it.each(outers.map((outer) => [named(outer), outer] as const))(
    `inside %s joins or is refused as the rule says, ${inners.length} cells`,
    async (_, outer) => {
      const seen = { joined: 0, refused: 0 };
      await core.run({ ...optionsOf(outer), name: 'Outer' }, async () => {
        for (const inner of inners) {
          const options = { ...optionsOf(inner), propagation, name: 'Inner' } as TransactionOptions;
          const why = refusal(outer, inner);
          let isBegun = false;
          const joined = core.run(options, async () => {
            isBegun = true;
            return shown();
          });
          if (why === null) {
            expectGranted(await joined, outer, inner.ms);
            seen.joined++;
          } else {
            const error = await errorOf(joined);
            expect([named(inner), error]).toEqual([
              named(inner),
              new TransactionJoinError(`Inner asks for ${why} than Outer gives.`),
            ]);
            expect(isBegun).toBe(false);
            seen.refused++;
          }
        }
        // The refused ones have left no trace.
        expectGranted(await shown(), outer, null);
      });
      expect(seen.joined + seen.refused).toBe(inners.length);
      expect(seen.joined).toBeGreaterThan(0);
      expect(seen.refused).toBeGreaterThan(0);
    },
  );

  it('that only reads, inside one that writes, is refused what writes, and the outer one is not', async () => {
    const slug = fresh(`reads-${propagation}`);
    await core.run({}, async () => {
      await core.write(slug);
      await core.run({ propagation, readOnly: true }, async () => {
        expect(await core.db.product.count({ where: { slug } })).toBe(1);
        expect(await errorOf(core.write(fresh('refused')))).toBeInstanceOf(TransactionJoinError);
        expect(await errorOf(core.run({ propagation }, () => core.pid()))).toBeInstanceOf(TransactionJoinError);
      });
      await core.write(`${slug}-after`);
    });
    expect(await database.query('SELECT FROM product WHERE slug LIKE $1', [`${slug}%`])).toHaveLength(2);
  });
});

describe('supports', () => {
  it.each(outers.map((outer) => [named(outer), outer] as const))(
    'inside %s joins, for it asks for nothing',
    async (_, outer) => {
      await core.run(optionsOf(outer), async () => {
        const pid = await core.pid();
        await core.run({ propagation: 'supports' }, async () => {
          expectGranted(await shown(), outer, null);
          expect(await core.pid()).toBe(pid);
        });
      });
    },
  );
});

describe('requires-new', () => {
  it('joins nothing, and so may ask for anything but more time', async () => {
    await core.run({ readOnly: true, timeout: '5s' }, async () => {
      const pid = await core.pid();
      const own = { propagation: 'requires-new', isolation: 'serializable', timeout: '60s' } as const;
      await core.run(own, async () => {
        expect(await core.pid()).not.toBe(pid);
        const { isolation, readOnly, ms } = await shown();
        expect({ isolation, readOnly }).toEqual({ isolation: 'serializable', readOnly: 'off' });
        // The outer one waits for it, so its time is that one's.
        expect(ms).toBeLessThanOrEqual(5000);
      });
    });
  });
});
