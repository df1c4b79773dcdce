import { Injectable } from '@nestjs/common';
import { Clock } from '../../kernel/clock.ts';
import { AppError, invalid } from '../../kernel/errors.ts';
import type { Principal } from '../../kernel/principal.ts';
import { Transactional } from '../../transactions/transactional.ts';
import { isTakenMeanwhile } from './ledger.repository.ts';
import { type Booked, copyOf, existsAlready, LedgerService, type OpenBooks } from './ledger.service.ts';
import type { Movement } from './movement.ts';
import { mostTransfers, type NewTransferBatch } from './transfers.schema.ts';
import { movementOf, showBooked } from './transfers.service.ts';

// Each time others must have stored ids of the same batch.
const mostRepeats = 3;

type Decided = AppError | Omit<Booked, 'createdAt'>;
type Taken = Map<string, AppError>;

@Injectable()
export class TransferBatchesService {
  constructor(
    private readonly ledger: LedgerService,
    private readonly clock: Clock,
  ) {}

  /**
   * Transfers in their order, each seeing what those before it leave. `atomic`: the first that is refused refuses all; what the caller may see
   * is asked of all of them before anything else. `partial`: each has its own answer. Throws batch-too-large, in an atomic batch what a transfer
   * throws, and transfer-exists when ids of it were taken by others again and again while it ran.
   */
  async transferAll(by: Principal, batch: NewTransferBatch) {
    if (batch.transfers.length > mostTransfers)
      throw invalid('batch-too-large', `A batch has at most ${mostTransfers} transfers.`);
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
      // An id that was free when it was looked up is not any more: now it is seen, and its transfer has an answer of its own.
      return this.repeating(by, batch, left - 1);
    }
  }

  /** With all accounts locked at once and all of it written by one statement. A savepoint, so that it can be done again. */
  @Transactional({ propagation: 'nested' })
  async transferTogether(by: Principal, { mode, transfers }: NewTransferBatch) {
    const terms = { now: this.clock.now(), pendingSeconds: this.ledger.pendingSeconds };
    const movements = transfers.map((transfer) => movementOf(by, transfer, terms));
    const books = await this.ledger.open(movements);
    const taken = await this.ledger.taken(
      by,
      transfers.flatMap(({ id }) => id ?? []),
    );
    if (mode === 'atomic') await this.foresee(books, new Map(taken), movements);
    const decided: Decided[] = [];
    for (const [n, movement] of movements.entries()) {
      const one = await this.decide(books, taken, movement);
      if (one instanceof AppError && mode === 'atomic') throw one.within(`/transfers/${n}`);
      decided.push(one);
    }
    const accepted = decided.flatMap((one) => (isRefused(one) ? [] : [one]));
    const booked = await this.ledger.write(books, accepted);
    return { mode, data: answersOf(decided, booked) };
  }

  // Else a batch whose end is bound to be refused would tell, for nothing, what somebody else's account can receive.
  private async foresee(books: OpenBooks, taken: Taken, movements: readonly Movement[]): Promise<void> {
    const drafts = copyOf(books);
    for (const [n, movement] of movements.entries()) {
      const refusal = refuseId(taken, movement) ?? (await this.ledger.foresee(drafts, movement));
      if (refusal instanceof AppError) throw refusal.within(`/transfers/${n}`);
    }
  }

  private async decide(books: OpenBooks, taken: Taken, movement: Movement): Promise<Decided> {
    const refusal = refuseId(taken, movement);
    if (refusal) return refusal;
    const after = await this.ledger.decide(books, movement);
    if (after instanceof AppError) {
      taken.delete(movement.id);
      return after;
    }
    return { movement, after };
  }
}

/** Why the id cannot be used; from now on it cannot, once. */
function refuseId(taken: Taken, { id }: Movement): AppError | null {
  const refusal = taken.get(id);
  if (refusal) return refusal;
  taken.set(id, existsAlready());
  return null;
}

const isRefused = (one: Decided): one is AppError => one instanceof AppError;

/** For each transfer, in its place, what was written or why it was refused. */
function answersOf(decided: readonly Decided[], booked: readonly Booked[]) {
  const written = new Map(booked.map((one) => [one.movement.id, one]));
  return decided.map((one, n) => {
    if (isRefused(one)) return { transfer: null, refusal: one.within(`/transfers/${n}`) };
    const made = written.get(one.movement.id);
    return { transfer: made ? showBooked(made) : null, refusal: null };
  });
}
