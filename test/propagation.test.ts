/** @servers any */
import * as fc from 'fast-check';
import type { Propagation } from '../src/transactions/boundary/options.ts';
import { currentTransaction } from '../src/transactions/current.ts';
import { databaseFailure } from '../src/transactions/wire/postgres-errors.ts';
import { type Core, startCore } from './support/core.ts';
import { fullCount } from './support/counts.ts';
import { createDatabase, type TestDatabase } from './support/database.ts';
import { Marks, marksLike } from './support/marks.ts';
import { cells, type Engine, nameOf, outcomeOf } from './support/propagation.ts';

let database: TestDatabase;
let core: Core;
let marks: Marks;
let ours: Engine;

beforeAll(async () => {
  database = await createDatabase();
  core = await startCore(database, [Marks]);
  marks = core.get(Marks);
  ours = {
    run: (propagation, work) => core.run({ propagation }, work),
    write: (slug) => marks.write(slug),
    transactionId: () => marks.transactionId(),
  };
  await marks.write('taken');
});
afterAll(async () => {
  await core.close();
  await database.drop();
});

describe('each mode of propagation does what its table says:', () => {
  it('the table has a line for every mode and everything that can happen', () => {
    expect(cells).toHaveLength(7 * 11);
    expect(new Set(cells.map(nameOf)).size).toBe(cells.length);
  });

  it.each(cells.map((cell) => [nameOf(cell), cell] as const))('%s', async (_, cell) => {
    const { stored, answer, transaction } = cell;
    expect(await outcomeOf(ours, database, cell)).toEqual({ stored, answer, transaction });
  });
});

describe('a boundary', () => {
  it('that is refused rejects, and does not throw at whoever has not awaited it yet', async () => {
    const refused = ours.run('mandatory', async () => 0);
    await expect(refused).rejects.toThrow('must run inside a boundary');
    await ours.run('required', async () => {
      await expect(ours.run('never', async () => 0)).rejects.toThrow('must not run inside a boundary');
    });
  });

  it('says of itself what it is, in each mode', async () => {
    const isNested = async (mode: Propagation) => ours.run(mode, async () => currentTransaction()?.isNested ?? null);
    expect(await isNested('nested')).toBe(false);
    await ours.run('required', async () => {
      for (const mode of ['required', 'mandatory', 'supports', 'requires-new'] as const)
        expect([mode, await isNested(mode)]).toEqual([mode, false]);
      expect(await isNested('nested')).toBe(true);
      expect(await isNested('not-supported')).toBeNull();
      expect(currentTransaction()?.isNested).toBe(false);
    });
    expect(currentTransaction()).toBeNull();
  });
});

// Boundaries in boundaries of every mode, with errors that pass, are caught and are swallowed, against a model of what they mean.

type Step =
  | { readonly do: 'write' }
  | { readonly do: 'throw' }
  | { readonly do: 'fail'; readonly isSwallowed: boolean }
  | { readonly do: 'call'; readonly mode: Propagation; readonly steps: readonly Step[]; readonly isCaught: boolean };

type Kind = 'thrown' | 'statement' | 'refused' | 'UnexpectedRollbackError';
class Thrown extends Error {
  constructor(readonly kind: Kind) {
    super(kind);
  }
}

const modes = ['required', 'requires-new', 'nested', 'mandatory', 'supports', 'not-supported', 'never'] as const;
const { steps } = fc.letrec<{ steps: Step[]; step: Step }>((tie) => ({
  steps: fc.array(tie('step'), { maxLength: 4, depthIdentifier: 'boundaries' }),
  step: fc.oneof(
    { maxDepth: 4, depthIdentifier: 'boundaries' },
    { weight: 4, arbitrary: fc.constant<Step>({ do: 'write' }) },
    { weight: 1, arbitrary: fc.constant<Step>({ do: 'throw' }) },
    { weight: 1, arbitrary: fc.record<Step & { do: 'fail' }>({ do: fc.constant('fail'), isSwallowed: fc.boolean() }) },
    {
      weight: 6,
      arbitrary: fc.record<Step & { do: 'call' }>({
        do: fc.constant('call'),
        mode: fc.constantFrom(...modes),
        steps: tie('steps'),
        isCaught: fc.boolean(),
      }),
    },
  ),
}));

/** What the steps mean, without a database. */
class Model {
  readonly stored: string[] = [];
  private transaction: { pending: string[]; isBroken: boolean } | null = null;

  run(all: readonly Step[], path: string): void {
    all.forEach((step, n) => this.step(step, `${path}-${n}`));
  }

  private step(step: Step, path: string): void {
    if (step.do === 'throw') throw new Thrown('thrown');
    if (step.do === 'write') this.statement(path);
    else if (step.do === 'fail') this.caught(step.isSwallowed, () => this.statement(null));
    else this.caught(step.isCaught, () => this.call(step.mode, () => this.run(step.steps, path)));
  }

  private caught(isCaught: boolean, work: () => void): void {
    try {
      work();
    } catch (error) {
      if (!isCaught) throw error;
    }
  }

  /** One that stores this; null for one that fails. */
  private statement(slug: string | null): void {
    const { transaction } = this;
    if (transaction?.isBroken === true) throw new Thrown('UnexpectedRollbackError');
    if (slug === null) {
      if (transaction !== null) transaction.isBroken = true;
      throw new Thrown('statement');
    }
    (transaction?.pending ?? this.stored).push(slug);
  }

  private call(mode: Propagation, work: () => void): void {
    const isInside = this.transaction !== null;
    if (mode === 'mandatory' ? !isInside : mode === 'never' && isInside) throw new Thrown('refused');
    if (mode === 'not-supported') return this.instead(null, work);
    if (mode === 'requires-new' || (!isInside && (mode === 'required' || mode === 'nested'))) return this.begin(work);
    if (mode === 'nested') return this.nest(work);
    work();
  }

  private instead(transaction: Model['transaction'], work: () => void): void {
    const around = this.transaction;
    this.transaction = transaction;
    try {
      work();
    } finally {
      this.transaction = around;
    }
  }

  private begin(work: () => void): void {
    const own = { pending: [], isBroken: false };
    this.instead(own, work);
    if (own.isBroken) throw new Thrown('UnexpectedRollbackError');
    this.stored.push(...own.pending);
  }

  private nest(work: () => void): void {
    const transaction = this.transaction!;
    if (transaction.isBroken) throw new Thrown('UnexpectedRollbackError');
    const before = [...transaction.pending];
    try {
      work();
      if (transaction.isBroken) throw new Thrown('UnexpectedRollbackError');
    } catch (error) {
      transaction.pending = before;
      transaction.isBroken = false;
      throw error;
    }
  }
}

/** The same steps, in earnest. */
async function runSteps(all: readonly Step[], path: string): Promise<void> {
  const caught = (isCaught: boolean, work: Promise<void>) => (isCaught ? work.catch(() => undefined) : work);
  for (const [n, step] of all.entries()) {
    const slug = `${path}-${n}`;
    if (step.do === 'throw') throw new Thrown('thrown');
    if (step.do === 'write') await marks.write(slug);
    else if (step.do === 'fail') await caught(step.isSwallowed, marks.write('taken'));
    else
      await caught(
        step.isCaught,
        ours.run(step.mode, () => runSteps(step.steps, slug)),
      );
  }
}

function kindOf(error: unknown): Kind {
  if (error instanceof Thrown) return error.kind;
  const { name } = error as Error;
  if (name === 'TransactionRequiredError') return 'refused';
  if (name === 'UnexpectedRollbackError') return name;
  if (databaseFailure(error) !== null) return 'statement';
  throw error;
}

describe('boundaries in boundaries', () => {
  it('of any mode and depth, with errors that pass, are caught or are swallowed, store and answer what the model says', async () => {
    let program = 0;
    const property = fc.asyncProperty(steps, async (all) => {
      const path = `program-${++program}`;
      const model = new Model();
      let expected: Kind | 'returned' = 'returned';
      try {
        model.run([{ do: 'call', mode: 'required', steps: all, isCaught: false }], path);
      } catch (error) {
        expected = kindOf(error);
      }
      const answer = await runSteps([{ do: 'call', mode: 'required', steps: all, isCaught: false }], path).then(
        () => 'returned' as const,
        kindOf,
      );
      expect([answer, await marksLike(database, `${path}-`)]).toEqual([expected, model.stored.sort()]);
    });
    await fc.assert(property, { numRuns: fullCount(150, 3000) });
  }, 900_000);
});
