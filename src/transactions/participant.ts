import { ClsServiceManager } from 'nestjs-cls';
import type { RunningBoundary } from './boundary/running-boundary.ts';
import { boundaryOfContext, openBoundary, runningBoundary } from './current.ts';
import { TransactionRequiredError } from './errors.ts';
import { type FinalGroup, type FinalStatement, FinalStatementRefusedError } from './wire/final-statement.ts';
import { type FirstStatement, FirstStatementRefusedError } from './wire/first-statement.ts';
import { DatabaseError, NamedAnswerError } from './wire/errors.ts';
import { kindOf } from './wire/postgres-errors.ts';

export {
  type FinalGroup,
  type FinalStatement,
  FinalStatementRefusedError,
  finalStatement,
} from './wire/final-statement.ts';
export { type FirstStatement, firstStatement } from './wire/first-statement.ts';

/** Replaces the work of a boundary whose work was done before, for example in an earlier request with the same key. */
export class Substitute {
  /** Called after the commit: returns the value of the boundary, or throws the stored refusal. */
  constructor(readonly settle: () => unknown) {}
}

/** The result of a boundary that a later run resumes from, and that is no response to a client. A participant that stores results unwraps the value. */
export class RecoveryPoint {
  constructor(readonly value: unknown) {}
}

/**
 * Takes part in the boundaries of a request without changing them: its writes commit together with the work of each boundary, which
 * keeps its own name, level, timeout and retries. An Idempotency-Key is claimed, and its response stored, this way.
 */
export interface TransactionParticipant {
  /** With others of its group it takes part in the boundary of a lane; null where it needs one of its own. */
  readonly group: ParticipantGroup | null;
  /** By what it is told from the others of its group: two with one name are never in one batch. */
  readonly name: string;
  /** What is thrown where a command with the same name is under way already. */
  inUse(): Error;
  /**
   * Called first in each attempt: what leaves with the first statement of the work, and refuses it where {@link begin} would have a substitute for
   * it. Null where `begin` is to be asked, for which the work waits.
   */
  firstStatement(): FirstStatement | null;
  /** That statement has refused the work, or was never sent: the attempt is made again, and `begin` is asked in it. */
  toBeAsked(): void;
  /** Called before the work where there is no first statement. Null lets the work run. */
  begin(): Promise<Substitute | null>;
  /** Called last in each attempt, after the work has returned this value: what leaves with COMMIT. Where it is refused, so is the boundary, with `inUse`. */
  finalStatement(value: unknown): FinalStatement;
  /** Called after the attempt was committed. */
  committed(): void;
  /** Runs a boundary after those that began before it have ended, so that the parts of a request have one order. */
  inTurn<T>(boundary: () => Promise<T>): Promise<T>;
}

/** A participant whose command a batch has done, and what came of it. */
export interface Ending {
  readonly participant: TransactionParticipant;
  readonly value: unknown;
}

/** Participants that take part in the boundary of a lane together: what each would do with a statement of its own, they do with one for all. */
export interface ParticipantGroup {
  /**
   * Called last in each attempt: what leaves with COMMIT, and does what `begin` and `finalStatement` of each would have done. Missing in it are the
   * places of those whose work was done before, or is being done by somebody else: the batch is rolled back, and done without them.
   */
  finalStatement(endings: readonly Ending[]): FinalStatement;
}

interface Enlisted {
  /** The application whose boundaries it takes part in. */
  readonly owner: object;
  readonly participant: TransactionParticipant;
}

// The key of the participant in the context.
const ENLISTED = Symbol('participant');

/** Runs the work; the participant takes part in each of its outermost boundaries that may write. Null: no participant. */
export function enlisted<T>(owner: object, participant: TransactionParticipant | null, work: () => T): T {
  const cls = ClsServiceManager.getClsService();
  return cls.run({ ifNested: 'inherit' }, () => {
    cls.set(ENLISTED, participant === null ? null : { owner, participant });
    return work();
  });
}

/** The participant of a boundary that would begin here; null while another boundary is suspended. */
export function participantOf(owner: object): TransactionParticipant | null {
  const cls = ClsServiceManager.getClsService();
  const one = cls.isActive() ? cls.get<Enlisted | null | undefined>(ENLISTED) : null;
  return one?.owner === owner && openBoundary() === null ? one.participant : null;
}

/**
 * Has the statement leave with the COMMIT of the running boundary; not where the savepoint that it is, or one around it, is rolled back. Throws
 * TransactionRequiredError outside.
 */
export function sendWithCommit(statement: FinalStatement): void {
  demandRunning('A statement leaves with COMMIT of a boundary only.').hooks.sendWithCommit(statement);
}

/**
 * Has the item stored by the one statement that leaves with COMMIT for all items of its group; not where the savepoint that it is of, or one
 * around it, is rolled back. Gives whether it is the first of its group there. Throws TransactionRequiredError outside.
 */
export function gatherForCommit<T>(group: FinalGroup<T>, item: T): boolean {
  return demandRunning('What leaves with COMMIT is gathered in a boundary only.').hooks.gatherForCommit(group, item);
}

function demandRunning(sentence: string): RunningBoundary {
  const running = runningBoundary();
  if (running === null) throw new TransactionRequiredError(sentence);
  return running;
}

// Writes of the participant do not count as separate writes of the work.
async function uncounted<T>(write: () => Promise<T>): Promise<T> {
  const separate = boundaryOfContext()?.transaction.separate ?? null;
  if (separate === null) return write();
  separate.isPaused = true;
  try {
    return await write();
  } finally {
    separate.isPaused = false;
  }
}

/** The work of a boundary with what the participant does before and after it. */
export function participating(
  participant: TransactionParticipant | null,
  work: () => Promise<unknown>,
): () => Promise<unknown> {
  if (participant === null) return work;
  return async () => {
    const first = participant.firstStatement();
    const substitute = first === null ? await uncounted(() => participant.begin()) : null;
    if (substitute !== null) return substitute;
    if (first !== null)
      demandRunning('A first statement leaves with one of a boundary only.').transaction.beginning.first = first;
    const value = await work();
    sendWithCommit(participant.finalStatement(value));
    return value;
  };
}

/** Runs a boundary of the participant's, all its attempts, and gives what it has come to. */
export async function inTurn(participant: TransactionParticipant, boundary: () => Promise<unknown>): Promise<unknown> {
  const value = await participant.inTurn(boundary).catch((error: unknown) => {
    throw error instanceof FinalStatementRefusedError ? participant.inUse() : error;
  });
  participant.committed();
  return value instanceof Substitute ? value.settle() : value;
}

/** A call that is being attempted. */
interface Attempted {
  readonly participant: TransactionParticipant | null;
  /** The last run of its work. */
  readonly latest: RunningBoundary | null;
}

/** An attempt, and once more where the participant has to be asked before the work after all. */
export async function attempting<T>(call: Attempted, attempt: () => Promise<T>): Promise<T> {
  const { participant } = call;
  if (participant === null) return attempt();
  try {
    return await attempt();
  } catch (error) {
    if (!isToBeAsked(error, call.latest?.transaction.beginning.first ?? null)) throw error;
    participant.toBeAsked();
    return attempt();
  }
}

/** Whether what was to leave in front of the work has refused it, or has never left and the work has failed. */
function isToBeAsked(error: unknown, unsent: FirstStatement | null): boolean {
  if (error instanceof FirstStatementRefusedError) return true;
  // What the database, the way to it, or the crowd before a row says is not said by the work.
  const isOfWork = !(error instanceof DatabaseError || error instanceof NamedAnswerError) && kindOf(error) === null;
  return unsent !== null && isOfWork;
}
