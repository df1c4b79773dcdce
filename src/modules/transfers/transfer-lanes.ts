import { Injectable } from '@nestjs/common';
import { Clock } from '../../kernel/clock.ts';
import type { Principal } from '../../kernel/principal.ts';
import { attempted, ProblemError } from '../../kernel/problem.ts';
import { type Lane, type LaneOutcome, Lanes, type Rows } from '../../transactions/lane.ts';
import { HouseAccounts } from '../accounts/house-accounts.ts';
import { type Booked, LedgerService, type LockedAccounts } from '../ledger/ledger.service.ts';
import type { Movement } from '../ledger/movement.ts';
import type { NewDeposit, NewTransfer } from './transfers.schema.ts';
import { directMovement, movementOf, showBooked } from './transfer.ts';
import { TransfersService } from './transfers.service.ts';

interface Requested<T> {
  readonly by: Principal;
  readonly asked: T;
}
type Shown = ReturnType<typeof showBooked>;
type Decided = LaneOutcome<Omit<Booked, 'createdAt'>>;

/** Transfers and deposits of many callers, each batch in one boundary: its accounts are locked, and all of it is written, by one statement each. */
@Injectable()
export class TransferLanes {
  private readonly transfers: Lane<Requested<NewTransfer>, Shown>;
  private readonly deposits: Lane<Requested<NewDeposit>, Shown>;

  constructor(
    lanes: Lanes,
    private readonly alone: TransfersService,
    private readonly ledger: LedgerService,
    private readonly houses: HouseAccounts,
    private readonly clock: Clock,
  ) {
    this.transfers = lanes.open({
      name: 'TransfersService.transfer',
      callerOf: ({ by }) => by.userId,
      rowsOf: ({ asked }) => [asked.fromAccountId, asked.toAccountId],
      together: (commands, rows) => this.transferTogether(commands, rows),
      alone: ({ by, asked }) => alone.transfer(by, asked),
    });
    this.deposits = lanes.open({
      name: 'TransfersService.deposit',
      callerOf: ({ by }) => by.userId,
      rowsOf: ({ asked }) => [asked.accountId],
      sharedRowOf: ({ asked }) => `cash ${asked.amount.currency}`,
      together: (commands, rows) => this.depositTogether(commands, rows),
      alone: ({ by, asked }) => alone.deposit(by, asked),
    });
  }

  /** Throws as `TransfersService.transfer` does. */
  transfer(by: Principal, asked: NewTransfer): Promise<Shown> {
    // An id of the caller's own is looked up.
    return asked.id === undefined ? this.transfers.submit({ by, asked }) : this.alone.transfer(by, asked);
  }

  /** Throws as `TransfersService.deposit` does. */
  deposit(by: Principal, asked: NewDeposit): Promise<Shown> {
    return this.deposits.submit({ by, asked });
  }

  private transferTogether(commands: readonly Requested<NewTransfer>[], rows: Rows) {
    const terms = { now: this.clock.now(), pendingSeconds: this.ledger.pendingSeconds };
    return this.bookAll(
      commands.map(({ by, asked }) => movementOf(by, asked, terms)),
      rows,
    );
  }

  // The first deposit in a currency opens the account that it is paid from: alone, so that nothing of it stays where it is refused.
  private async depositTogether(commands: readonly Requested<NewDeposit>[], rows: Rows) {
    const currencies = commands.map(({ asked }) => asked.amount.currency);
    const cash = await this.houses.list('cash', currencies);
    const movements = commands.map(({ by, asked }) => {
      const { accountId, amount, note = null } = asked;
      const from = cash.get(amount.currency);
      return from === undefined ? null : directMovement('deposit', by, { from, to: accountId, amount, note });
    });
    const booked = await this.bookAll(
      movements.filter((movement) => movement !== null),
      rows,
    );
    return movements.map((movement) => (movement === null ? unfit : (booked.shift() ?? unfit)));
  }

  private async bookAll(movements: readonly Movement[], rows: Rows): Promise<LaneOutcome<Shown>[]> {
    const books = await this.ledger.open(movements, rows);
    const decided: Decided[] = [];
    for (const movement of movements) decided.push(await this.decide(books, movement));
    const accepted = decided.flatMap((one) => (isAccepted(one) ? [one.value] : []));
    const booked = accepted.length === 0 ? [] : await this.ledger.write(books, accepted);
    const shown = new Map(booked.map((one) => [one.movement, showBooked(one)]));
    return decided.map((one) => (isAccepted(one) ? { value: shown.get(one.value.movement) as Shown } : one));
  }

  private async decide(books: LockedAccounts, movement: Movement): Promise<Decided> {
    if (this.ledger.isHeld(books, movement)) return { alone: 'held' };
    const after = await attempted(this.ledger.decide(books, movement));
    return after instanceof ProblemError ? { refusal: after } : { value: { movement, after } };
  }
}

const unfit = { alone: 'unfit' } as const;

const isAccepted = (one: Decided): one is { readonly value: Omit<Booked, 'createdAt'> } => 'value' in one;
