import { Injectable } from '@nestjs/common';
import { Clock } from '../../kernel/clock.ts';
import { AppError, invalid } from '../../kernel/errors.ts';
import type { Principal } from '../../kernel/principal.ts';
import { Transactional } from '../../transactions/transactional.ts';
import type { Movement } from './ledger.ts';
import { type Booked, existsAlready, LedgerService, type OpenBooks } from './ledger.service.ts';
import { mostTransfers, type NewTransferBatch } from './transfers.schema.ts';
import { movementOf, showBooked } from './transfers.service.ts';

type Decided = AppError | Omit<Booked, 'createdAt'>;

@Injectable()
export class TransferBatchesService {
  constructor(
    private readonly ledger: LedgerService,
    private readonly clock: Clock,
  ) {}

  /**
   * Transfers in their order, each seeing what those before it leave, with all accounts locked at once and all of it written by one
   * statement. `atomic`: the first that is refused refuses all. `partial`: each has its own answer. Throws batch-too-large, and in an atomic
   * batch what a transfer throws.
   */
  @Transactional()
  async transferAll(by: Principal, { mode, transfers }: NewTransferBatch) {
    if (transfers.length > mostTransfers)
      throw invalid('batch-too-large', `A batch has at most ${mostTransfers} transfers.`);
    const now = this.clock.now();
    const movements = transfers.map((transfer) => movementOf(by, transfer, now));
    const books = await this.ledger.open(
      movements.flatMap(({ fromAccountId, toAccountId }) => [fromAccountId, toAccountId]),
    );
    const chosen = transfers.flatMap(({ id }) => id ?? []);
    const taken = new Set(await this.ledger.taken(chosen));

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

  private async decide(books: OpenBooks, taken: Set<string>, movement: Movement): Promise<Decided> {
    if (taken.has(movement.id)) return existsAlready();
    const after = await this.ledger.decide(books, movement);
    if (after instanceof AppError) return after;
    taken.add(movement.id);
    return { movement, after };
  }
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
