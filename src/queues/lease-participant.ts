import { LoggableError, MisuseError } from '../kernel/loggable-error.ts';
import type { FinalStatement, TransactionParticipant } from '../transactions/participant.ts';
import type { Leased, LeasedQueue } from './leased-queue.ts';

/** Somebody else holds it, or has done it: nothing of this attempt is stored. */
export class LeaseLostError extends LoggableError {
  override readonly name = 'LeaseLostError';
  constructor(worker: string) {
    super(`What ${worker} was at work on was taken over before it was done.`);
  }
}

/** Notes that items of a queue are done with the commit of the boundary that does them. */
export class LeaseParticipant<Item extends Leased> implements TransactionParticipant {
  readonly group = null;
  readonly name: string;
  /** Whether that boundary is stored. */
  isDone = false;

  constructor(
    private readonly worker: string,
    private readonly items: readonly Item[],
    private readonly queue: LeasedQueue<Item>,
  ) {
    this.name = `${worker} ${items[0]?.lease}`;
  }

  inUse(): LeaseLostError {
    return new LeaseLostError(this.worker);
  }

  firstStatement(): null {
    return null;
  }

  toBeAsked(): void {
    // It always is.
  }

  async begin(): Promise<null> {
    if (this.isDone) throw new MisuseError(`${this.worker} does its work in one boundary, or is @Phased().`);
    return null;
  }

  finalStatement(): FinalStatement {
    return this.queue.done(this.items);
  }

  committed(): void {
    this.isDone = true;
  }

  inTurn<T>(boundary: () => Promise<T>): Promise<T> {
    return boundary();
  }
}
