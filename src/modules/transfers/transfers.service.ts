import { Injectable, Logger } from '@nestjs/common';
import { z } from 'zod';
import { Expands } from '../../http/expansion/expansions.ts';
import { page } from '../../http/pages/page.ts';
import { Clock } from '../../kernel/clock.ts';
import type { Principal, Scope } from '../../kernel/principal.ts';
import type { ProblemError } from '../../kernel/problem.ts';
import { Transactional } from '../../transactions/transactional.ts';
import { Transactions } from '../../transactions/transactions.ts';
import { showAccount } from '../accounts/account.ts';
import { HouseAccounts } from '../accounts/house-accounts.ts';
import { LedgerService } from '../ledger/ledger.service.ts';
import type { AccountState, Movement } from '../ledger/movement.ts';
import {
  directMovement,
  existsAlready,
  movementOf,
  notYours,
  showBooked,
  showTransfer,
  transferMissing,
} from './transfer.ts';
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
    return this.book(directMovement('deposit', by, { from: cash, to: accountId, amount, note: note ?? null }));
  }

  /** One's own transfers, or everybody's for an operator who names an account; newest first. */
  async list(principal: Principal, query: TransferQuery) {
    const now = this.clock.now();
    const owner = principal.role === 'operator' && query.accountId !== undefined ? {} : { userId: principal.userId };
    const transfers = await page(
      'transfers',
      { ...query, ...owner, reader: principal.userId },
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

  /** Why ids cannot be those of new transfers: `transfer-exists`; of one that the caller may not see, `transfer-not-found`, as of any other. */
  async taken(by: Movement['by'], ids: readonly string[]): Promise<Map<string, ProblemError>> {
    const existing = ids.length === 0 ? [] : await this.transfers.listExisting(ids);
    const isSeen = ({ fromAccount, toAccount }: (typeof existing)[number]): boolean =>
      by.role === 'operator' || [fromAccount, toAccount].some(({ userId }) => userId === by.userId);
    return new Map(existing.map((one) => [one.id, isSeen(one) ? existsAlready() : notYours()]));
  }

  private terms() {
    return { now: this.clock.now(), pendingSeconds: this.ledger.pendingSeconds };
  }

  private async book(movement: Movement) {
    return showBooked(await this.ledger.book(movement));
  }

  private async refuseTaken({ by, id }: Movement): Promise<void> {
    const refusal = (await this.taken(by, [id])).get(id);
    if (refusal) throw refusal;
  }
}
