import { type Channel, channel } from 'node:diagnostics_channel';
import type {
  AfterCommitError,
  AfterRollbackError,
  ExternalWorkInTransactionError,
  SeparateWritesError,
} from '../errors.ts';

// What the core tells of itself. Node's own channels: whoever wants metrics subscribes, and as long as nobody does nothing is measured.

/** `committed` · `rolled-back` · `unknown`: the connection was lost during COMMIT and the outcome could not be asked for. */
export type Outcome = 'committed' | 'rolled-back' | 'unknown';

export interface BoundaryEnded {
  readonly name: string;
  readonly outcome: Outcome;
  readonly readOnly: boolean;
  /** How often the work was run. */
  readonly attempts: number;
  /** From the call to the end, all attempts and the pauses between them, milliseconds. */
  readonly durationMs: number;
  /** How long the server waited for the next statement in the last attempt, its locks held, milliseconds. */
  readonly idleMs: number;
  /** What it failed with; null when it is committed. */
  readonly error: unknown;
}

export interface AttemptFailed {
  readonly name: string;
  /** Which run of the work it was, from 1. */
  readonly attempt: number;
  /** Why it is run again. */
  readonly error: unknown;
}

export interface HooksRun {
  readonly boundary: string;
  readonly count: number;
  /** Milliseconds. */
  readonly durationMs: number;
}

/**
 * What kept a replica from answering: `lost` it could not be reached · `full` all connections to it were in use · `cancelled` it ended
 * the read, which stood in the way of its recovery.
 */
export type Trouble = 'lost' | 'full' | 'cancelled';

/** A read waited for its replica, or was given to the primary because the replica did not hold what the caller has written, or did not answer. */
export interface ReplicaRead {
  /** The name of the replica; null when there was none to ask, or several were asked in vain. */
  readonly replica: string | null;
  /** `replica` it caught up in time. In all other cases the primary was asked: `behind` it did not catch up · or its {@link Trouble}. */
  readonly result: 'replica' | 'behind' | Trouble;
  /** How long the read waited for the replica to catch up, milliseconds. */
  readonly waitMs: number;
}

/** A batch of a lane has ended, however it did. */
export interface LaneBatch {
  readonly lane: string;
  /** How many commands it was given. */
  readonly size: number;
  /** How many waited when it had ended. */
  readonly waiting: number;
  /** Milliseconds, with all that was done again. */
  readonly durationMs: number;
}

interface TypedChannel<Message> extends Channel<unknown, Message> {
  publish(message: Message): void;
}
const channelOf = <Message>(name: string): TypedChannel<Message> =>
  channel(`holdfast:${name}`) as TypedChannel<Message>;

/** A transaction or savepoint-free boundary has ended; nested and joined ones are part of it. */
export const boundaryEnded = channelOf<BoundaryEnded>('boundary-ended');
/** An attempt failed and the work is run again. */
export const attemptFailed = channelOf<AttemptFailed>('attempt-failed');
export const hooksRun = channelOf<HooksRun>('hooks-run');
export const hookFailed = channelOf<{
  readonly boundary: string;
  readonly error: AfterCommitError | AfterRollbackError;
}>('hook-failed');
export const laneBatch = channelOf<LaneBatch>('lane-batch');
export const replicaRead = channelOf<ReplicaRead>('replica-read');
/** Outside work was found in a boundary. */
export const externalWorkFound = channelOf<{
  readonly boundary: string;
  readonly error: ExternalWorkInTransactionError;
}>('external-work-found');
/** Something was about to be stored by itself although its unit of work has stored something else. */
export const separateWritesFound = channelOf<{ readonly unit: string; readonly error: SeparateWritesError }>(
  'separate-writes-found',
);
