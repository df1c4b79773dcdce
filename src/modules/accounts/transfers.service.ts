import { Injectable } from '@nestjs/common';
import { type AppError, found, invalid, notFound } from '../../kernel/errors.ts';
import { type Money, money } from '../../kernel/money.ts';
import { type Principal, scopeOf } from '../../kernel/principal.ts';
import { Transactional } from '../../transactions/transactional.ts';
import { canReceive, type Movement, refuseMovement } from './account.ts';
import { AccountsRepository } from './accounts.repository.ts';
import type { NewDeposit, NewTransfer } from './accounts.schema.ts';
import { TransfersRepository } from './transfers.repository.ts';

@Injectable()
export class TransfersService {
  constructor(
    private readonly accounts: AccountsRepository,
    private readonly transfers: TransfersRepository,
  ) {}

  /** Throws transfer-not-found. */
  async get(principal: Principal, id: string) {
    return showAmount(
      found(await this.transfers.find(scopeOf(principal), id), 'transfer-not-found', 'There is no such transfer.'),
    );
  }

  /** From one's own account to any. Throws account-not-found, same-account, currency-mismatch, insufficient-funds. */
  @Transactional()
  async transfer({ userId }: Principal, { note, ...transfer }: NewTransfer) {
    await this.demandOwn(userId, transfer.fromAccountId, '/fromAccountId');
    return this.move({ kind: 'transfer', ...transfer, note: note ?? null, createdById: userId });
  }

  /** Money from outside, by an operator: from the house's cash account. Throws account-not-found, currency-mismatch. */
  @Transactional()
  async deposit({ userId }: Principal, { accountId, amount, note }: NewDeposit) {
    const cash = await this.house('cash', amount.currency);
    return this.move({
      kind: 'deposit',
      fromAccountId: cash,
      toAccountId: accountId,
      amount,
      note: note ?? null,
      createdById: userId,
    });
  }

  /** Pays the house from one's own account. Throws account-not-found, currency-mismatch, insufficient-funds. */
  @Transactional({ propagation: 'mandatory' })
  async pay({ userId }: Principal, accountId: string, amount: Money) {
    await this.demandOwn(userId, accountId, '/payment/accountId');
    const sales = await this.house('sales', amount.currency);
    return this.move({
      kind: 'payment',
      fromAccountId: accountId,
      toAccountId: sales,
      amount,
      note: null,
      createdById: userId,
    });
  }

  /** Gives a payment back to the account it came from. */
  @Transactional({ propagation: 'mandatory' })
  async refund({ userId }: Principal, accountId: string, amount: Money) {
    const sales = await this.house('sales', amount.currency);
    return this.move({
      kind: 'refund',
      fromAccountId: sales,
      toAccountId: accountId,
      amount,
      note: null,
      createdById: userId,
    });
  }

  private async move(movement: Movement) {
    const { fromAccountId, toAccountId, amount } = movement;
    const accounts = await this.accounts.lock([fromAccountId, toAccountId]);
    const from = accounts.get(fromAccountId) ?? missing('/fromAccountId');
    const to = accounts.get(toAccountId);
    if (to === undefined || (movement.kind !== 'payment' && !canReceive(to)))
      missing(movement.kind === 'deposit' ? '/accountId' : '/toAccountId');
    const refusal = refuseMovement(from, to, amount);
    if (refusal) throw refusal;
    const fromAfter = (await this.accounts.takeFrom(fromAccountId, amount.amount)) ?? drained();
    const toAfter = await this.accounts.addTo(toAccountId, amount.amount);
    return showAmount(await this.transfers.create(movement, fromAfter, toAfter));
  }

  private async demandOwn(userId: string, accountId: string, pointer: string): Promise<void> {
    if ((await this.accounts.find({ userId }, accountId)) === null) missing(pointer);
  }

  private async house(house: 'cash' | 'sales', currency: string): Promise<string> {
    return found(
      await this.accounts.findHouse(house, currency),
      'house-account-not-found',
      `The house has no ${house} account in ${currency}.`,
    );
  }
}

function missing(pointer: string): never {
  throw notFound('account-not-found', 'There is no such account.', {
    errors: [{ pointer, code: 'account-not-found' }],
  });
}

// Not reachable while the row is locked; the guard is in the statement all the same.
function drained(): never {
  throw invalid('insufficient-funds', 'The account does not hold that much.') satisfies AppError;
}

const showAmount = <T extends { amount: bigint; currency: string }>(transfer: T) => ({
  ...transfer,
  amount: money(transfer.amount, transfer.currency),
});
