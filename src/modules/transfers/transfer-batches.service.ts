import { Injectable } from '@nestjs/common';
import { Clock } from '../../kernel/clock.ts';
import type { Principal } from '../../kernel/principal.ts';
import { attempt, attempted, ProblemError, within } from '../../kernel/problem.ts';
import { Transactional } from '../../transactions/transactional.ts';
import { type Booked, copyOf, LedgerService, type LockedAccounts } from '../ledger/ledger.service.ts';
import type { Movement } from '../ledger/movement.ts';
import { existsAlready, movementOf, showBooked } from './transfer.ts';
import { isTakenMeanwhile } from './transfers.repository.ts';
import { batchTooLarge, mostTransfers, type NewTransferBatch } from './transfers.schema.ts';
import { TransfersService } from './transfers.service.ts';

// A repeat is needed only if others stored transfers with ids of this batch meanwhile.
const mostRepeats = 3;

type Decided = ProblemError | Omit<Booked, 'createdAt'>;
type Taken = Map<string, ProblemError>;

@Injectable()
export class TransferBatchesService {
  constructor(
    private readonly transfers: TransfersService,
    private readonly ledger: LedgerService,
    private readonly clock: Clock,
  ) {}

  /**
   * Transfers in their order, each seeing what those before it leave. `atomic`: the first that is refused refuses all; what the caller may see
   * is asked of all of them before anything else. `partial`: each has its own answer. Throws batch-too-large, in an atomic batch what a transfer
   * throws, and transfer-exists when ids of it were taken by others again and again while it ran.
   */
  async transferAll(by: Principal, batch: NewTransferBatch) {
    if (batch.transfers.length > mostTransfers) throw batchTooLarge();
    return this.repeating(by, batch, mostRepeats);
  }

  private async repeating(
    by: Principal,
    batch: NewTransferBatch,
    left: number,
  ): ReturnType<typeof this.transferTogether> {
    try {
      return await this.transferTogether(by, batch);
    } catch (error) {
      if (left === 0 || !isTakenMeanwhile(error)) throw error;
      // Another request has taken an id since the look-up. The repeat sees it, and refuses that transfer alone.
      return this.repeating(by, batch, left - 1);
    }
  }

  /** Locks all accounts at once and writes everything with one statement. A savepoint, so that it can be repeated. */
  @Transactional({ propagation: 'nested' })
  async transferTogether(by: Principal, { mode, transfers }: NewTransferBatch) {
    const terms = { now: this.clock.now(), pendingSeconds: this.ledger.pendingSeconds };
    const movements = transfers.map((transfer, n) => {
      const movement = attempt(() => movementOf(by, transfer, terms));
      if (movement instanceof ProblemError) throw movement.within(`/transfers/${n}`);
      return movement;
    });
    const books = await this.ledger.open(movements);
    const taken = await this.transfers.taken(
      by,
      transfers.flatMap(({ id }) => id ?? []),
    );
    if (mode === 'atomic') await this.foresee(books, new Map(taken), movements);
    const decided: Decided[] = [];
    for (const [n, movement] of movements.entries()) {
      const deciding = this.decide(books, taken, movement);
      decided.push(await (mode === 'atomic' ? within(`/transfers/${n}`, deciding) : attempted(deciding)));
    }
    const accepted = decided.flatMap((one) => (isRefused(one) ? [] : [one]));
    const booked = await this.ledger.write(books, accepted);
    return { mode, data: answersOf(decided, booked) };
  }

  // Otherwise a batch that is certain to be refused at its end would reveal what an account of somebody else can receive.
  private async foresee(books: LockedAccounts, taken: Taken, movements: readonly Movement[]): Promise<void> {
    const drafts = copyOf(books);
    for (const [n, movement] of movements.entries())
      await within(`/transfers/${n}`, this.foreseeOne(drafts, taken, movement));
  }

  private async foreseeOne(drafts: LockedAccounts, taken: Taken, movement: Movement): Promise<void> {
    refuseId(taken, movement);
    await this.ledger.foresee(drafts, movement);
  }

  private async decide(books: LockedAccounts, taken: Taken, movement: Movement): Promise<Omit<Booked, 'createdAt'>> {
    refuseId(taken, movement);
    const after = await attempted(this.ledger.decide(books, movement));
    if (!(after instanceof ProblemError)) return { movement, after };
    // Its id is free again for another transfer of the batch.
    taken.delete(movement.id);
    throw after;
  }
}

/** Refuses an id that cannot be used; from now on it cannot. Throws transfer-exists, transfer-not-found. */
function refuseId(taken: Taken, { id }: Movement): void {
  const refusal = taken.get(id);
  if (refusal) throw refusal;
  taken.set(id, existsAlready());
}

const isRefused = (one: Decided): one is ProblemError => one instanceof ProblemError;

/** For each transfer, in order: what was written, or why it was refused. */
function answersOf(decided: readonly Decided[], booked: readonly Booked[]) {
  const written = new Map(booked.map((one) => [one.movement.id, one]));
  return decided.map((one, n) => {
    if (isRefused(one)) return { transfer: null, refusal: one.within(`/transfers/${n}`) };
    const made = written.get(one.movement.id);
    return { transfer: made ? showBooked(made) : null, refusal: null };
  });
}
