import { ClsServiceManager } from 'nestjs-cls';
import { boundaryOfContext, openBoundary } from './current.ts';

/** What stands in for the work of a boundary whose work was done before. */
export class Substitute {
  /** Called once the boundary is stored: gives its value, or throws in the place of one. */
  constructor(readonly settle: () => unknown) {}
}

/** What a boundary returns that is a place to go on from, and no answer to anybody. A participant that keeps results gives the value back. */
export class RecoveryPoint {
  constructor(readonly value: unknown) {}
}

/**
 * Takes part in the boundaries of a request without changing them: what it writes is stored in one commit with the work of each, which
 * keeps its own name, level, time and retries. An Idempotency-Key claims itself and keeps its answer this way.
 */
export interface TransactionParticipant {
  /** First in each attempt, before the work. Null lets the work run. */
  begin(): Promise<Substitute | null>;
  /** Last in each attempt, when the work has returned this value. */
  beforeCommit(value: unknown): Promise<void>;
  /** The attempt is stored. */
  committed(): void;
  /** Runs a boundary when those that began before it have ended: the parts of a request have one order. */
  inTurn<T>(boundary: () => Promise<T>): Promise<T>;
}

interface Enlisted {
  /** The application whose boundaries it takes part in. */
  readonly owner: object;
  readonly participant: TransactionParticipant;
}

// Under this key the context holds who takes part.
const ENLISTED = Symbol('participant');

/** Runs the work; the participant takes part in each outermost boundary of it that may write. Null for nobody. */
export function enlisted<T>(owner: object, participant: TransactionParticipant | null, work: () => T): T {
  const cls = ClsServiceManager.getClsService();
  return cls.run({ ifNested: 'inherit' }, () => {
    cls.set(ENLISTED, participant === null ? null : { owner, participant });
    return work();
  });
}

/** Who takes part in a boundary that would begin here; nobody in one beside a boundary that is set aside. */
export function participantOf(owner: object): TransactionParticipant | null {
  const cls = ClsServiceManager.getClsService();
  const one = cls.isActive() ? cls.get<Enlisted | null | undefined>(ENLISTED) : null;
  return one?.owner === owner && openBoundary() === null ? one.participant : null;
}

// What it writes is no write of the work, which may have none.
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
    const substitute = await uncounted(() => participant.begin());
    if (substitute !== null) return substitute;
    const value = await work();
    await uncounted(() => participant.beforeCommit(value));
    return value;
  };
}

/** Runs a boundary of the participant's, all its attempts, and gives what it has come to. */
export async function inTurn(participant: TransactionParticipant, boundary: () => Promise<unknown>): Promise<unknown> {
  const value = await participant.inTurn(boundary);
  participant.committed();
  return value instanceof Substitute ? value.settle() : value;
}
