import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterCommit, afterRollback } from '../src/transactions/hooks.ts';
import { lockRows } from '../src/transactions/locks.ts';
import {
  type FinalStatement,
  finalStatement,
  type FirstStatement,
  firstStatement,
  Substitute,
  type TransactionParticipant,
} from '../src/transactions/participant.ts';
import { raised } from '../src/testing/faults.ts';
import { type Bare, errorOf, fresh, startBare, stored } from './support/bare.ts';
import { atOnce } from './support/crowd.ts';
import { createDatabase, type TestDatabase } from './support/database.ts';
import { recordStatements } from './support/statements.ts';

let database: TestDatabase;
let core: Bare;

beforeAll(async () => {
  database = await createDatabase();
  core = await startBare({ app: database.urls.app }, { DATABASE_POOL_SIZE: '4' });
  await database.query('CREATE SEQUENCE step');
  await database.query('GRANT USAGE ON SEQUENCE step TO holdfast_app');
});
afterEach(() => {
  core.transactions.faults = null;
});
afterAll(async () => {
  await core.close();
  await database.drop();
});

const claiming = (slug: string): FirstStatement => firstStatement('claim_mark')`
  WITH claimed AS (
    INSERT INTO product (id, slug, name) VALUES (gen_random_uuid(), ${slug}, ${slug}) ON CONFLICT DO NOTHING RETURNING 1)
  SELECT refuse_missing(CASE WHEN NOT EXISTS (SELECT FROM claimed) THEN ARRAY[0] END)`;

/** Lets the work of a mark be done once, and is told what became of it. */
class Once implements TransactionParticipant {
  readonly group = null;
  readonly name = 'once';
  readonly asked: string[] = [];
  private asks = false;

  constructor(private readonly mark: string) {}

  inUse = (): Error => new Error('in use');

  firstStatement(): FirstStatement | null {
    return this.asks ? null : claiming(this.mark);
  }

  toBeAsked(): void {
    this.asks = true;
  }

  async begin(): Promise<Substitute | null> {
    this.asked.push('begin');
    const made = await core.db.$executeRaw`
      INSERT INTO product (id, slug, name) VALUES (gen_random_uuid(), ${this.mark}, ${this.mark}) ON CONFLICT DO NOTHING`;
    return made === 1 ? null : new Substitute(() => 'what it came to before');
  }

  finalStatement(): FinalStatement {
    return finalStatement('end_mark')`UPDATE product SET name = 'done' WHERE slug = ${this.mark}`;
  }

  committed(): void {
    this.asked.push('committed');
  }

  inTurn = <T>(boundary: () => Promise<T>): Promise<T> => boundary();
}

/** Does the work with the mark claimed in front of it; what it comes to, and what the participant was asked. */
async function once(mark: string, work: () => Promise<unknown>): Promise<[unknown, string[]]> {
  const participant = new Once(mark);
  const value = await core.transactions.with(participant, () => core.run({ name: 'once' }, work)).catch(errorTold);
  return [value, participant.asked];
}
const errorTold = (error: Error): string => error.message;
const steps = async (): Promise<number> => {
  const [row] = await database.query<{ n: number }>(
    'SELECT CASE WHEN is_called THEN last_value ELSE 0 END::int AS n FROM step',
  );
  return row?.n ?? -1;
};
const nameOf = async (slug: string): Promise<string | undefined> =>
  (await database.query<{ name: string }>('SELECT name FROM product WHERE slug = $1', [slug]))[0]?.name;
/** Cannot be undone: what the server has carried out of it is seen afterwards. */
const step = (): Promise<unknown> => core.db.$queryRaw`SELECT nextval('step')::int`;

describe('a statement that leaves with the first one of the work', () => {
  it('is stored with the work and with what leaves with COMMIT, in two round trips in all', async () => {
    const [mark, slug] = [fresh('mark'), fresh('work')];
    await once(fresh('warm-up'), () => core.write(fresh('warm-up')));
    const statements = recordStatements({ isFar: true });
    const outcome = await once(mark, async () => {
      await core.db.$executeRaw`INSERT INTO product (id, slug, name) VALUES (gen_random_uuid(), ${slug}, ${slug})`;
      return 'new';
    });
    statements.stop();
    expect(new Set(statements.take().map(({ trip }) => trip)).size).toBe(2);
    expect(outcome).toEqual(['new', ['committed']]);
    expect([await nameOf(mark), await stored(database, [slug])]).toEqual(['done', [slug]]);
  });

  it('tells what id the transaction has also where the work only reads: that is not asked for by itself', async () => {
    await once(fresh('warm-up'), () => core.db.product.findMany({ take: 1 }));
    const statements = recordStatements({ isFar: true });
    const [, asked] = await once(fresh('mark'), () => core.db.product.findMany({ take: 1 }));
    statements.stop();
    expect([new Set(statements.take().map(({ trip }) => trip)).size, asked]).toEqual([2, ['committed']]);
  });

  it('that refuses the work has nothing of it carried out, and the substitute takes its place', async () => {
    const mark = fresh('mark');
    await once(mark, step);
    const before = await steps();
    const outcome = await once(mark, step);
    expect([outcome, await steps()]).toEqual([['what it came to before', ['begin', 'committed']], before]);
  });

  it('that refuses the work leaves its hooks out', async () => {
    const mark = fresh('mark');
    await once(mark, step);
    const ran: string[] = [];
    await once(mark, async () => {
      afterCommit(() => ran.push('commit'));
      afterRollback(() => ran.push('rollback'));
      await step();
    });
    expect(ran).toEqual([]);
  });

  it.each<[string, () => Promise<unknown>]>([
    ['catches what its first statement is told', () => step().catch(() => 'never mind')],
    ['goes on after it', async () => [await step().catch(() => null), await step().catch(() => null)]],
    ['throws something else for it', () => step().catch(() => Promise.reject(new Error('something else')))],
    ['sends two at once', () => Promise.all([step(), step()])],
    ['begins within a nested boundary', () => core.run({ propagation: 'nested' }, step)],
    [
      'catches what a nested boundary is told',
      () => core.run({ propagation: 'nested' }, step).catch(() => 'never mind'),
    ],
    ['sends nothing', () => Promise.resolve('nothing')],
    ['throws before it has sent anything', () => Promise.reject(new Error('refused'))],
    ['writes by a model', () => core.write('model-of-a-repeated-one')],
    ['writes with what belongs to it', () => nestedWrite(fresh('nested-of-a-repeated-one'))],
  ])('refuses work that %s', async (_, work) => {
    const mark = fresh('mark');
    await once(mark, async () => undefined);
    const before = await steps();
    const outcome = await once(mark, work);
    expect(outcome).toEqual(['what it came to before', ['begin', 'committed']]);
    expect([await steps(), await nameOf('model-of-a-repeated-one')]).toEqual([before, undefined]);
  });

  it('leaves with the final statements where the work sends nothing', async () => {
    const mark = fresh('mark');
    expect(await once(mark, async () => 'nothing')).toEqual(['nothing', ['committed']]);
    expect(await nameOf(mark)).toBe('done');
  });

  it('leaves nothing behind where the work fails, also before it has sent anything', async () => {
    for (const work of [step, async () => undefined]) {
      const mark = fresh('mark');
      const failing = async (): Promise<never> => {
        await work();
        throw new Error('refused');
      };
      expect((await once(mark, failing))[0]).toBe('refused');
      expect(await nameOf(mark)).toBeUndefined();
    }
  });

  it('goes with each attempt', async () => {
    const mark = fresh('mark');
    core.transactions.faults = (_, attempt, moment) => (moment === 'commit' && attempt === 1 ? raised('40001') : null);
    let attempts = 0;
    const outcome = await once(mark, async () => {
      attempts++;
      await step();
      return attempts;
    });
    expect([outcome, await nameOf(mark)]).toEqual([[2, ['committed']], 'done']);
  });

  it('is asked for once more only where the work itself has failed, not where there was no way to the database', async () => {
    const mark = fresh('mark');
    const participant = new Once(mark);
    const late = core.transactions.with(participant, () =>
      core.run({ timeout: '20ms' }, () => new Promise((resolve) => setTimeout(resolve, 60))),
    );
    expect((await errorOf(late)).name).toBe('TransactionExpiredError');
    expect([participant.asked, await nameOf(mark)]).toEqual([[], undefined]);
  });

  it('is asked for once more not either where its work has given way before a row that many want', async () => {
    const row = randomUUID();
    const work = async (): Promise<void> => {
      await lockRows(core.db, { stock: [row] });
      await sleep(80);
    };
    const outcomes = await atOnce(8, () => once(fresh('mark'), work));
    expect(outcomes).toEqual(Array.from({ length: 8 }, () => [undefined, ['committed']]));
  });

  it('that the connection has prepared says nothing of a statement behind it that is wrong', async () => {
    for (let n = 0; n < 8; n++) await once(fresh('mark'), step);
    let attempts = 0;
    const [told] = await once(fresh('mark'), () => {
      attempts++;
      return core.db.$queryRaw`SELECT nobody FROM product`;
    });
    expect([told, attempts]).toEqual([expect.stringContaining('"nobody"'), 1]);
  });

  it('can be sent without a name', async () => {
    const unnamed = await startBare({ app: database.urls.app }, { DATABASE_STATEMENT_NAMES: 'off' });
    const named = core;
    core = unnamed;
    try {
      const mark = fresh('mark');
      expect((await once(mark, step))[1]).toEqual(['committed']);
      expect((await once(mark, step))[0]).toBe('what it came to before');
    } finally {
      core = named;
      await unnamed.close();
    }
  });
});

const nestedWrite = (slug: string): Promise<unknown> =>
  core.db.product.create({
    data: {
      id: randomUUID(),
      slug,
      name: slug,
      images: { create: [{ id: randomUUID(), url: 'https://example.com/', position: 0 }] },
    },
  });
