import {
  CommitOutcomeUnknownError,
  ConnectionLostError,
  LockUnavailableError,
  TransactionConflictError,
} from '../errors.ts';
import {
  type Ending,
  type FinalStatement,
  FinalStatementRefusedError,
  type ParticipantGroup,
  sendWithCommit,
} from '../participant.ts';
import { DatabaseError, TransactionExpiredError } from '../wire/errors.ts';
import { kindOf } from '../wire/postgres-errors.ts';
import type { WireTransaction } from '../wire/transaction.ts';
import type { Alone, LaneCommand, LaneOutcome } from './command.ts';

/** Whether a batch waits for rows that somebody else has locked, or leaves the commands out that need them. */
export type Rows = 'wait' | 'skip';

/** Settles each command of a batch. */
export type BatchRun<C, T> = (commands: readonly LaneCommand<C, T>[]) => Promise<void>;

/** The work of a batch, inside its boundary: what becomes of each command, in their order. */
export type Together<C, T> = (commands: readonly C[], rows: Rows) => Promise<readonly LaneOutcome<T>[]>;

/** Runs the work in the boundary of a batch, all its attempts, and tells which transaction has stored it. */
export type InBoundary = <R>(work: () => Promise<R>) => Promise<{ value: R; wire: WireTransaction | null }>;

/**
 * Does commands in one boundary, and sees to it that none of them fails its neighbours: one whose rows are held, that was done before, or
 * that breaks the boundary is left to a boundary of its own, and the others are done together again.
 */
export class Batches<C, T> {
  constructor(
    private readonly together: Together<C, T>,
    private readonly inBoundary: InBoundary,
  ) {}

  readonly run: BatchRun<C, T> = (commands) => this.attempt(commands, 'wait');

  private async attempt(given: readonly LaneCommand<C, T>[], rows: Rows): Promise<void> {
    const batch = given.filter(isInTime);
    if (batch.length === 0) return;
    const endings: Endings<C, T> = new Map();
    try {
      const { value: outcomes, wire } = await this.inBoundary(() => this.work(batch, rows, endings));
      batch.forEach((one, n) => one.settle(outcomes[n] ?? { alone: 'unfit' }, wire));
    } catch (error) {
      if (error instanceof FinalStatementRefusedError) await this.without(batch, doneBefore(endings, error), rows);
      else await this.recover(batch, rows, error);
    }
  }

  private async recover(batch: readonly LaneCommand<C, T>[], rows: Rows, error: unknown): Promise<void> {
    if (error instanceof LockUnavailableError)
      // Other locks than those of its rows, as of a foreign key, cannot be skipped.
      return rows === 'wait' ? this.attempt(batch, 'skip') : leave(batch, 'held');
    if (!mayBeOfOne(error)) return batch.forEach((one) => one.fail(error));
    if (batch.length === 1) return leave(batch, 'unfit');
    const half = Math.ceil(batch.length / 2);
    await this.attempt(batch.slice(0, half), rows);
    await this.attempt(batch.slice(half), rows);
  }

  private async without(batch: readonly LaneCommand<C, T>[], done: ReadonlySet<unknown>, rows: Rows): Promise<void> {
    leave(
      batch.filter((one) => done.has(one)),
      'unfit',
    );
    await this.attempt(
      batch.filter((one) => !done.has(one)),
      rows,
    );
  }

  private async work(batch: readonly LaneCommand<C, T>[], rows: Rows, endings: Endings<C, T>) {
    const commands = batch.map(({ command }) => command);
    const outcomes = await this.together(commands, rows);
    for (const [group, ended] of endingsOf(batch, outcomes)) {
      const statement = group.finalStatement(ended);
      endings.set(statement, ended);
      sendWithCommit(statement);
    }
    return outcomes;
  }
}

interface CommandEnding<C, T> extends Ending {
  readonly of: LaneCommand<C, T>;
}

/** The endings of a batch, by the statement that stores them. */
type Endings<C, T> = Map<FinalStatement, readonly CommandEnding<C, T>[]>;

/** The commands that were done before, by their keys, or are being done by somebody else. */
function doneBefore<C, T>(endings: Endings<C, T>, { statement, missing }: FinalStatementRefusedError) {
  const ended = endings.get(statement) ?? [];
  return new Set(missing.flatMap((place) => ended[place]?.of ?? []));
}

/** Of the commands that are done and have a participant, by its group. */
function endingsOf<C, T>(batch: readonly LaneCommand<C, T>[], outcomes: readonly LaneOutcome<T>[]) {
  const byGroup = new Map<ParticipantGroup, CommandEnding<C, T>[]>();
  for (const [n, of] of batch.entries()) {
    const [outcome, participant] = [outcomes[n], of.participant];
    if (outcome === undefined || !('value' in outcome) || participant?.group == null) continue;
    const endings = byGroup.get(participant.group) ?? [];
    byGroup.set(participant.group, endings);
    endings.push({ of, participant, value: outcome.value });
  }
  return byGroup;
}

function leave<C, T>(batch: readonly LaneCommand<C, T>[], alone: Alone): void {
  for (const one of batch) one.settle({ alone }, null);
}

/** Fails a command that is over, whose caller is told so: it is not begun. */
function isInTime<C, T>(one: LaneCommand<C, T>): boolean {
  const isOver = performance.now() > one.endsAt;
  if (isOver) one.fail(new TransactionExpiredError('The time of the command is over: its turn did not come.'));
  return !isOver;
}

const ofAll = [CommitOutcomeUnknownError, ConnectionLostError, TransactionConflictError] as const;

/** Whether an error can be due to one command: not what says that the server, its rows or the time were not there. */
function mayBeOfOne(error: unknown): boolean {
  if (error instanceof DatabaseError || ofAll.some((type) => error instanceof type)) return false;
  const kind = kindOf(error);
  return kind === null || kind === 'constraint' || kind === 'statement';
}
