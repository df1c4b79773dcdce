import type { Propagation } from '../../src/transactions/boundary/options.ts';
import { databaseFailure } from '../../src/transactions/wire/postgres-errors.ts';
import type { TestDatabase } from './database.ts';
import { marksLike } from './marks.ts';

// What each propagation mode does, as a table whose cells are run: against ours, and against the one that ours replaces.

/** Something that draws boundaries. */
export interface Engine {
  run<T>(mode: Propagation, work: () => Promise<T>): Promise<T>;
  /** Writes a mark; `taken` is there before. */
  write(slug: string): Promise<void>;
  /** The id of the transaction that the statement is in. */
  transactionId(): Promise<string>;
}

/** What happens in a boundary that is called from outside any. */
const alone = ['it returns', 'it throws', 'a statement fails', 'a statement fails and it swallows that'] as const;
/** What happens in a boundary that is called from inside another one. */
const met = [
  'both return',
  'the inner one throws',
  'the inner one throws and the outer one catches',
  'a statement of the inner one fails',
  'a statement of the inner one fails and the outer one catches',
  'a statement of the inner one fails and the inner one swallows that',
  'the outer one throws afterwards',
] as const;
export type Happening = (typeof alone)[number] | (typeof met)[number];

/** What is stored, and what the caller is given. */
export interface Outcome {
  /** Of `outer`, `inner`, and `after`, which the outer one writes after the inner one. */
  readonly stored: string;
  readonly answer:
    | 'returns'
    | 'the error of the inner one'
    | 'the error of the outer one'
    | 'the error of the statement'
    | 'refused'
    | 'UnexpectedRollbackError';
  /** Which transaction the inner one runs in; empty when it does not. */
  readonly transaction: '' | 'that of the outer one' | 'its own' | 'none';
}

export interface Cell extends Outcome {
  readonly mode: Propagation;
  readonly happening: Happening;
}

export const nameOf = ({ mode, happening }: Pick<Cell, 'mode' | 'happening'>): string => `${mode}: ${happening}`;

type Answer = Outcome['answer'];
type Row = readonly [Happening, stored: string, Answer];

const all = 'outer inner after';
const returned = 'returns' as const;
const inner = 'the error of the inner one' as const;
const outer = 'the error of the outer one' as const;
const statement = 'the error of the statement' as const;
const unexpected = 'UnexpectedRollbackError' as const;

const begins: readonly Row[] = [
  ['it returns', 'inner', returned],
  ['it throws', '', inner],
  ['a statement fails', '', statement],
  ['a statement fails and it swallows that', '', unexpected],
];
const withoutTransaction: readonly Row[] = [
  ['it returns', 'inner', returned],
  ['it throws', 'inner', inner],
  ['a statement fails', 'inner', statement],
  ['a statement fails and it swallows that', 'inner', returned],
];
const joins: readonly Row[] = [
  ['both return', all, returned],
  ['the inner one throws', '', inner],
  ['the inner one throws and the outer one catches', all, returned],
  ['a statement of the inner one fails', '', statement],
  ['a statement of the inner one fails and the outer one catches', '', unexpected],
  ['a statement of the inner one fails and the inner one swallows that', '', unexpected],
  ['the outer one throws afterwards', '', outer],
];
const standsApart: readonly Row[] = [
  ['both return', all, returned],
  ['the inner one throws', '', inner],
  ['the inner one throws and the outer one catches', 'outer after', returned],
  ['a statement of the inner one fails', '', statement],
  ['a statement of the inner one fails and the outer one catches', 'outer after', returned],
  ['a statement of the inner one fails and the inner one swallows that', '', unexpected],
];
const beside: readonly Row[] = [
  ['both return', all, returned],
  ['the inner one throws', 'inner', inner],
  ['the inner one throws and the outer one catches', all, returned],
  ['a statement of the inner one fails', 'inner', statement],
  ['a statement of the inner one fails and the outer one catches', all, returned],
  ['a statement of the inner one fails and the inner one swallows that', all, returned],
  ['the outer one throws afterwards', 'inner', outer],
];
const refusedInside: readonly Row[] = met.map((happening) =>
  happening.endsWith('outer one catches') ? [happening, 'outer after', returned] : [happening, '', 'refused'],
);
const refusedAlone: readonly Row[] = alone.map((happening) => [happening, '', 'refused']);

const part = (
  mode: Propagation,
  transaction: Outcome['transaction'],
  ...rows: readonly (readonly Row[])[]
): readonly Cell[] =>
  rows.flat().map(([happening, stored, answer]) => ({ mode, happening, stored, answer, transaction }));

/** The table, as it is for ours. */
export const cells: readonly Cell[] = [
  ...part('required', 'its own', begins),
  ...part('required', 'that of the outer one', joins),
  ...part('requires-new', 'its own', begins, standsApart, [['the outer one throws afterwards', 'inner', outer]]),
  ...part('nested', 'its own', begins),
  ...part('nested', 'that of the outer one', standsApart, [['the outer one throws afterwards', '', outer]]),
  ...part('mandatory', '', refusedAlone),
  ...part('mandatory', 'that of the outer one', joins),
  ...part('supports', 'none', withoutTransaction),
  ...part('supports', 'that of the outer one', joins),
  ...part('not-supported', 'none', withoutTransaction, beside),
  ...part('never', 'none', withoutTransaction),
  ...part('never', '', refusedInside),
];

const ignore = (): undefined => undefined;
class InnerError extends Error {}
class OuterError extends Error {}
const refusals = new Set(['TransactionRequiredError', 'TransactionNotActiveError', 'TransactionAlreadyActiveError']);
let counted = 0;

/** Runs a cell. */
export async function outcomeOf(
  engine: Engine,
  database: Pick<TestDatabase, 'query'>,
  { mode, happening }: Pick<Cell, 'mode' | 'happening'>,
): Promise<Outcome> {
  const mark = `cell-${++counted}-`;
  const ids: { outer: string | null; inner: string[] } = { outer: null, inner: [] };
  const innerWork = async (): Promise<void> => {
    await engine.write(`${mark}inner`);
    for (let n = 0; n < 2; n++) ids.inner.push(await engine.transactionId());
    if (happening.includes('swallows')) await engine.write('taken').catch(ignore);
    else if (happening.includes('a statement')) await engine.write('taken');
    else if (/^it throws|inner one throws/.test(happening)) throw new InnerError();
  };
  const callInner = async (): Promise<void> => engine.run(mode, innerWork);
  const outerWork = async (): Promise<void> => {
    await engine.write(`${mark}outer`);
    ids.outer = await engine.transactionId();
    await (happening.endsWith('outer one catches') ? callInner().catch(ignore) : callInner());
    // In a transaction that is broken it fails as well, which is swallowed like the first.
    const after = engine.write(`${mark}after`);
    await (happening.includes('a statement') ? after.catch(ignore) : after);
    if (happening.startsWith('the outer one throws')) throw new OuterError();
  };
  const isAlone = (alone as readonly string[]).includes(happening);
  const answer = await (isAlone ? callInner() : engine.run('required', outerWork)).then(() => returned, answerOf);
  const rows = (await marksLike(database, mark)).map((slug) => slug.slice(mark.length));
  const stored = ['outer', 'inner', 'after'].filter((what) => rows.includes(what)).join(' ');
  return { stored, answer, transaction: transactionOf(ids) };
}

function answerOf(error: unknown): Answer {
  if (error instanceof InnerError) return inner;
  if (error instanceof OuterError) return outer;
  const { name } = error as Error;
  if (refusals.has(name)) return 'refused';
  if (name === unexpected) return unexpected;
  if (databaseFailure(error) !== null) return statement;
  throw error;
}

function transactionOf(ids: { outer: string | null; inner: string[] }): Outcome['transaction'] {
  const [first, second] = ids.inner;
  if (first === undefined) return '';
  if (first !== second) return 'none';
  return first === ids.outer ? 'that of the outer one' : 'its own';
}
