import { InvariantError } from '../../kernel/loggable-error.ts';
import type { TransactionParticipant } from '../participant.ts';
import type { WireTransaction } from '../wire/transaction.ts';
import type { Waiting } from './queue.ts';

/** Why a command of a batch is left to a boundary of its own: somebody outside the lane has locked its rows, or a batch must not do it. */
export type Alone = 'held' | 'unfit';

/** What a batch has come to for one of its commands: the value, what it is refused with, or that it is left to a boundary of its own. */
export type LaneOutcome<T> = { readonly value: T } | { readonly refusal: unknown } | { readonly alone: Alone };

/** The value of a command that was done in a boundary of its own, where nothing leaves it alone. Throws its refusal. */
export function valueOf<T>(outcome: LaneOutcome<T> | undefined): T {
  if (outcome !== undefined && 'value' in outcome) return outcome.value;
  throw outcome !== undefined && 'refusal' in outcome
    ? outcome.refusal
    : new InvariantError('A command was left undone.');
}

/** A command that waits in a lane or is in a batch. */
export interface LaneCommand<C, T> extends Waiting {
  readonly command: C;
  /** Those that it locks. */
  readonly rows: readonly string[];
  /** Takes part in the boundary of the command, see {@link TransactionParticipant}; null without one. */
  readonly participant: TransactionParticipant | null;
  /** `wire`: the transaction that its batch was committed by; null where there is none. */
  settle(outcome: LaneOutcome<T>, wire: WireTransaction | null): void;
  fail(error: unknown): void;
}
