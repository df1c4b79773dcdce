import { Injectable } from '@nestjs/common';
import { z } from 'zod';
import { Expands } from '../../http/expansions.ts';
import { page } from '../../http/page.ts';
import { Clock, later } from '../../kernel/clock.ts';
import { found } from '../../kernel/errors.ts';
import { newId } from '../../kernel/ids.ts';
import { type Money, money } from '../../kernel/money.ts';
import type { Principal, Scope } from '../../kernel/principal.ts';
import { Transactional } from '../../transactions/transactional.ts';
import { Transactions } from '../../transactions/transactions.ts';
import { type AccountState, showAccount } from './account.ts';
import type { Movement, TransferKind } from './ledger.ts';
import { type Booked, LedgerService } from './ledger.service.ts';
import { postedOf, statusOf, type StoredTransfer } from './settlement.ts';
import { TransfersRepository } from './transfers.repository.ts';
import { type NewDeposit, type NewTransfer, type TransferQuery, TransferView } from './transfers.schema.ts';

@Injectable()
export class TransfersService {
  // The accounts of the house are made with the tables and stay: their ids need to be asked for once.
  private readonly houses = new Map<string, string>();

  constructor(
    private readonly transfers: TransfersRepository,
    private readonly ledger: LedgerService,
    private readonly clock: Clock,
    private readonly transactions: Transactions,
  ) {}

  /** Throws transfer-not-found. */
  async get(principal: Principal, id: string) {
    return showTransfer(await this.transfers.settled(await this.findAs(principal, id, 'either')), this.clock.now());
  }

  /** Those that one may see. */
  @Expands('tr', TransferView)
  async getAll(scope: Scope, ids: readonly string[]) {
    const now = this.clock.now();
    return (await this.transfers.findAll(scope, ids)).map((transfer) => showTransfer(transfer, now));
  }

  /**
   * From one's own account to any, posted at once or pending until it is. Throws account-not-found, same-account, currency-mismatch,
   * insufficient-funds, balance-too-large, account-frozen, account-closed, condition-not-met, transfer-exists.
   */
  @Transactional()
  async transfer(by: Principal, transfer: NewTransfer) {
    return this.book(movementOf(by, transfer, this.clock.now()));
  }

  /** Money from outside, by an operator: from the house's cash account. Throws as `transfer` does. */
  @Transactional()
  async deposit(by: Principal, { accountId, amount, note }: NewDeposit) {
    const cash = await this.house('cash', amount.currency);
    return this.book(direct('deposit', by, { from: cash, to: accountId, amount, note: note ?? null }));
  }

  /** Pays the house from one's own account. Throws as `transfer` does. */
  @Transactional({ propagation: 'mandatory' })
  async pay(by: Principal, accountId: string, amount: Money) {
    const sales = await this.house('sales', amount.currency);
    return this.book(direct('payment', by, { from: accountId, to: sales, amount }));
  }

  /** Gives a payment back to the account it came from. Throws account-frozen, account-closed, balance-too-large. */
  @Transactional({ propagation: 'mandatory' })
  async refund(by: Principal, accountId: string, amount: Money) {
    const sales = await this.house('sales', amount.currency);
    return this.book(direct('refund', by, { from: sales, to: accountId, amount }));
  }

  /** One's own transfers, or everybody's for an operator who names an account; newest first. */
  async list(principal: Principal, query: TransferQuery) {
    const now = this.clock.now();
    const owner = principal.role === 'operator' && query.accountId !== undefined ? {} : { userId: principal.userId };
    const transfers = await page(
      'transfers',
      { ...query, ...owner },
      z.uuid(),
      (slice) => this.transfers.list({ ...owner, ...query, now }, slice),
      ({ id }) => id,
    );
    return { ...transfers, data: transfers.data.map((transfer) => showTransfer(transfer, now)) };
  }

  /**
   * What a transfer would be, and what it would leave on those of the accounts that one may see: the real thing, rolled back. Throws as
   * `transfer` does.
   */
  async preview(by: Principal, transfer: NewTransfer) {
    const movement = movementOf(by, transfer, this.clock.now());
    const preview = await this.transactions
      .run({ name: 'TransfersService.preview', propagation: 'nested' }, async () => {
        throw new Previewed(await this.ledger.book(movement));
      })
      .catch(previewed);
    const { from, to } = preview.after;
    const shown = (account: AccountState) =>
      by.role === 'operator' || account.userId === by.userId ? showAccount(account) : null;
    return { transfer: showBooked(preview), from: shown(from), to: shown(to) };
  }

  /** A transfer as it is found by somebody on this side of it, or an operator. Throws transfer-not-found. */
  async findAs({ userId, role }: Principal, id: string, side: 'sender' | 'receiver' | 'either') {
    const transfer = await this.transfers.find(role === 'operator' ? {} : { userId }, id, side);
    return found(transfer, 'transfer-not-found', 'There is no such transfer.');
  }

  private async book(movement: Movement) {
    return showBooked(await this.ledger.book(movement));
  }

  private async house(house: 'cash' | 'sales', currency: string): Promise<string> {
    const key = `${house} ${currency}`;
    const id = this.houses.get(key) ?? (await this.transfers.findHouse(house, currency));
    const known = found(id, 'house-account-not-found', `The house has no ${house} account in ${currency}.`);
    this.houses.set(key, known);
    return known;
  }
}

/** Carries what was written out of the boundary that is rolled back with it. */
class Previewed extends Error {
  constructor(readonly booked: Booked) {
    super('previewed');
  }
}

function previewed(error: unknown): Booked {
  if (error instanceof Previewed) return error.booked;
  throw error;
}

interface Direct {
  readonly from: string;
  readonly to: string;
  readonly amount: Money;
  readonly note?: string | null;
}

/** A movement that is posted at once and asks for nothing but room. */
export const direct = (kind: TransferKind, by: Movement['by'], { from, to, amount, note }: Direct): Movement => ({
  id: newId(),
  kind,
  fromAccountId: from,
  toAccountId: to,
  amount,
  note: note ?? null,
  expiresAt: null,
  conditions: {},
  reverses: null,
  by,
});

/** What somebody asks for, as it is decided and written. */
export function movementOf(by: Movement['by'], transfer: NewTransfer, now: Date): Movement {
  const { id, type, expiresInSeconds, fromAccountId, toAccountId, amount, note, conditions } = transfer;
  return {
    ...direct('transfer', by, { from: fromAccountId, to: toAccountId, amount, note: note ?? null }),
    ...(id !== undefined && { id }),
    expiresAt: type === 'pending' ? later(now, expiresInSeconds) : null,
    conditions: conditions ?? {},
  };
}

/** A transfer that was written a moment ago. */
export const showBooked = ({ movement, createdAt }: Booked) => {
  const { amount, reverses, ...rest } = movement;
  const row = {
    ...rest,
    ...amount,
    reversesId: reverses?.id ?? null,
    reversalSeq: reverses?.seq ?? null,
    reversedTotal: reverses?.total ?? null,
    settlement: null,
    createdAt,
  };
  return showTransfer(row, createdAt);
};

interface Shown extends StoredTransfer {
  readonly reversesId: string | null;
  readonly reversalSeq: number | null;
  readonly reversedTotal: bigint | null;
  readonly settlement: (NonNullable<StoredTransfer['settlement']> & { readonly createdAt: Date }) | null;
  readonly createdAt: Date;
}

/** A stored transfer as it is at a moment: amounts with their currency, and what became of it. */
export function showTransfer<T extends Shown>(transfer: T, now: Date) {
  const { currency, reversesId, reversalSeq, reversedTotal, settlement } = transfer;
  const posted = postedOf(transfer);
  return {
    ...transfer,
    type: transfer.expiresAt === null ? ('direct' as const) : ('pending' as const),
    status: statusOf(transfer, now),
    amount: money(transfer.amount, currency),
    postedAmount: posted === null ? null : money(posted, currency),
    settledAt: settlement && settlement.outcome !== 'expired' ? settlement.createdAt : null,
    reversal: reversesId && { reversesId, seq: reversalSeq, reversedTotal: money(reversedTotal ?? 0n, currency) },
  };
}
