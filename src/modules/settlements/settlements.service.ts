import { Injectable } from '@nestjs/common';
import { Events } from '../../events/events.ts';
import { changedMeanwhile } from '../../kernel/general.problems.ts';
import type { Principal } from '../../kernel/principal.ts';
import { attempt, ProblemError } from '../../kernel/problem.ts';
import { entryPair, type SettlementRow } from '../ledger/ledger-rows.ts';
import { LedgerService, type LockedAccounts } from '../ledger/ledger.service.ts';
import type { Moved } from '../ledger/movement.ts';
import { refuseResolution, type Resolution, settle, type StoredTransfer } from './settlement.ts';
import { type Made, settlementEvent } from './settlements.events.ts';
import { SettlementsRepository } from './settlements.repository.ts';

/** A transfer that is no longer pending. */
type Settled<T> = T & { readonly settlement: SettlementRow & { readonly createdAt: Date } };

/** What becomes of pending transfers. It runs inside the boundary of whoever asks. */
@Injectable()
export class SettlementsService {
  constructor(
    private readonly stored: SettlementsRepository,
    private readonly ledger: LedgerService,
    private readonly events: Events,
  ) {}

  /** Resolves each of the transfers that can be, and says of each what came of it, by id. Only their accounts are locked, at once. */
  async settleAll<T extends StoredTransfer>(by: Principal, transfers: readonly T[], resolution: Resolution) {
    const open = transfers.filter(({ expiresAt, settlement }) => expiresAt !== null && settlement === null);
    const books = await this.ledger.lock(
      open.flatMap(({ fromAccountId, toAccountId }) => [fromAccountId, toAccountId]),
    );
    return this.settleIn(books, by, transfers, resolution);
  }

  /** The same with accounts that are locked already. */
  async settleIn<T extends StoredTransfer>(
    books: LockedAccounts,
    by: Principal,
    transfers: readonly T[],
    what: Resolution,
  ) {
    // Whoever resolves one holds both accounts: only now is it known what became of it.
    const settlements = await this.stored.findSettlements(transfers.map(({ id }) => id));
    const decided = transfers.map((transfer) => {
      const current = { ...transfer, settlement: settlements.get(transfer.id) ?? null };
      return { transfer, after: attempt(() => decideIn(books, by, current, what)) };
    });
    const made = decided.flatMap(({ transfer, after }) =>
      after instanceof ProblemError ? [] : [{ row: rowOf(transfer, what, by), after, transfer }],
    );
    const times = await this.write(books, made);
    return new Map(
      decided.map(({ transfer, after }): [string, ProblemError | Settled<T>] => {
        if (after instanceof ProblemError) return [transfer.id, after];
        const createdAt = times.get(transfer.id) ?? changedMeanwhile();
        return [transfer.id, { ...transfer, settlement: { ...rowOf(transfer, what, by), createdAt } }];
      }),
    );
  }

  private async write(books: LockedAccounts, made: readonly Made[]): Promise<Map<string, Date>> {
    if (made.length === 0) return new Map();
    const entries = made.flatMap(({ row, after }) =>
      row.amount === null ? [] : entryPair(row.transferId, row.amount, after),
    );
    const rows = made.map(({ row }) => row);
    const written = await this.ledger.settle(books, rows, entries);
    for (const one of made) this.events.record(settlementEvent(one));
    return written;
  }
}

function decideIn(books: LockedAccounts, by: Principal, transfer: StoredTransfer, resolution: Resolution): Moved {
  // Its accounts are locked only where it was pending.
  refuseResolution(transfer, books.now);
  const decided = settle(by, books.accounts, transfer, { resolution, now: books.now });
  books.accounts.set(decided.from.id, decided.from);
  books.accounts.set(decided.to.id, decided.to);
  return decided;
}

const rowOf = ({ id, amount }: StoredTransfer, resolution: Resolution, { userId }: Principal): SettlementRow => ({
  transferId: id,
  outcome: resolution.outcome,
  amount: resolution.outcome === 'posted' ? (resolution.amount?.amount ?? amount) : null,
  createdById: userId,
});
