import { Injectable, Logger } from '@nestjs/common';
import { z } from 'zod';
import { Expands } from '../../http/expansions.ts';
import { page } from '../../http/page.ts';
import { Clock, later } from '../../kernel/clock.ts';
import { AppError, notFound } from '../../kernel/errors.ts';
import { newId } from '../../kernel/ids.ts';
import { type Money, money } from '../../kernel/money.ts';
import type { Principal, Scope } from '../../kernel/principal.ts';
import { Transactional } from '../../transactions/transactional.ts';
import { Transactions } from '../../transactions/transactions.ts';
import { mismatch, type AccountState, showAccount } from './account.ts';
import { HouseAccounts } from './house-accounts.ts';
import { type Booked, LedgerService } from './ledger.service.ts';
import type { Movement, TransferKind } from './movement.ts';
import { missing } from './parties.ts';
import { postedOf, statusOf, type StoredTransfer } from './settlement.ts';
import { TransfersRepository } from './transfers.repository.ts';
import { type NewDeposit, type NewTransfer, type TransferQuery, TransferView } from './transfers.schema.ts';

@Injectable()
export class TransfersService {
  private readonly logger = new Logger(TransfersService.name);

  constructor(
    private readonly transfers: TransfersRepository,
    private readonly ledger: LedgerService,
    private readonly houses: HouseAccounts,
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
   * From one's own account to any, posted at once or pending until it is. Throws what `decide` says; `transfer-exists` where the id is taken,
   * `transfer-not-found` where it is by a transfer that the caller may not see.
   */
  @Transactional()
  async transfer(by: Principal, transfer: NewTransfer) {
    const movement = movementOf(by, transfer, this.terms());
    if (transfer.id !== undefined) await this.refuseTaken(movement);
    return this.book(movement);
  }

  /** Money from outside, by an operator: from the house's cash account. Throws as `transfer` does, and own-account. */
  @Transactional()
  async deposit(by: Principal, { accountId, amount, note }: NewDeposit) {
    const cash = await this.houses.find('cash', amount.currency);
    return this.book(direct('deposit', by, { from: cash, to: accountId, amount, note: note ?? null }));
  }

  /** Refuses whoever could not pay from the account whatever it holds, before anything is locked. Throws account-not-found, currency-mismatch. */
  async demandPayer(by: Principal, accountId: string, currency: string): Promise<void> {
    const account = await this.ledger.party(accountId);
    if (account?.userId !== by.userId) throw missing('/payment/accountId');
    if (account.currency !== currency) throw mismatch(account.currency);
  }

  /** Pays the house from one's own account. Throws as `transfer` does. */
  @Transactional({ propagation: 'mandatory' })
  async pay(by: Principal, accountId: string, amount: Money) {
    const sales = await this.houses.find('sales', amount.currency);
    return this.book(direct('payment', by, { from: accountId, to: sales, amount }));
  }

  /** Gives a payment back to the account it came from, whatever its largest balance is. Throws account-frozen, account-closed. */
  @Transactional({ propagation: 'mandatory' })
  async refund(by: Principal, accountId: string, amount: Money) {
    const sales = await this.houses.find('sales', amount.currency);
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
   * What a transfer would be, and what it would leave on those of the accounts that one may see. Nothing is locked or written. Whether the
   * account of somebody else can receive it is not asked: who could ask for nothing would know its balance. Throws as `transfer` does else.
   */
  async preview(by: Principal, transfer: NewTransfer) {
    const movement = movementOf(by, transfer, this.terms());
    const { fromAccountId, toAccountId } = movement;
    this.logger.log({ userId: by.userId, fromAccountId, toAccountId }, 'a transfer was previewed');
    const foreseen = await this.transactions.run({ name: 'TransfersService.preview', readOnly: true }, async () => {
      if (transfer.id !== undefined) await this.refuseTaken(movement);
      return this.ledger.foresee(await this.ledger.read(movement), movement);
    });
    if (foreseen instanceof AppError) throw foreseen;
    const shown = (account: AccountState | null) => account && showAccount(account);
    return {
      transfer: showBooked({ movement, createdAt: this.clock.now() }),
      from: shown(foreseen.from),
      to: shown(foreseen.to),
    };
  }

  /** A transfer as it is found by somebody on this side of it, or an operator. Throws transfer-not-found. */
  async findAs({ userId, role }: Principal, id: string, side: 'sender' | 'receiver' | 'either') {
    const transfer = await this.transfers.find(role === 'operator' ? {} : { userId }, id, side);
    if (transfer === null) throw transferMissing();
    return transfer;
  }

  private terms() {
    return { now: this.clock.now(), pendingSeconds: this.ledger.pendingSeconds };
  }

  private async book(movement: Movement) {
    return showBooked(await this.ledger.book(movement));
  }

  private async refuseTaken({ by, id }: Movement): Promise<void> {
    const refusal = (await this.ledger.taken(by, [id])).get(id);
    if (refusal) throw refusal;
  }
}

export const transferMissing = (): AppError => notFound('transfer-not-found', 'There is no such transfer.');

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

/** When something is asked for, and how long it is pending unless it says so. */
interface Terms {
  readonly now: Date;
  readonly pendingSeconds: number;
}

/** What somebody asks for, as it is decided and written. */
export function movementOf(by: Movement['by'], transfer: NewTransfer, { now, pendingSeconds }: Terms): Movement {
  const {
    id,
    type,
    expiresInSeconds = pendingSeconds,
    fromAccountId,
    toAccountId,
    amount,
    note,
    conditions,
  } = transfer;
  return {
    ...direct('transfer', by, { from: fromAccountId, to: toAccountId, amount, note: note ?? null }),
    ...(id !== undefined && { id }),
    expiresAt: type === 'pending' ? later(now, expiresInSeconds) : null,
    conditions: conditions ?? {},
  };
}

/** A transfer that was written a moment ago. */
export const showBooked = ({ movement, createdAt }: Pick<Booked, 'movement' | 'createdAt'>) => {
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
