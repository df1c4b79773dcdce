import { Inject, Injectable } from '@nestjs/common';
import type { Config } from '../../config/config.ts';
import { LedgerConfig } from '../../config/slices.ts';
import { Events } from '../../events/events.ts';
import { Clock, latest } from '../../kernel/clock.ts';
import { changedMeanwhile } from '../../kernel/general.problems.ts';
import { attempt, ProblemError } from '../../kernel/problem.ts';
import type { Rows } from '../../transactions/lane.ts';
import {
  type Change,
  changesBetween,
  entriesOf,
  type EntryRow,
  reservationsOf,
  type SettlementRow,
} from './ledger-rows.ts';
import { movementEvent } from './ledger.events.ts';
import { LedgerRepository } from './ledger.repository.ts';
import { accountsOf, decide, foresee, wantsRoom } from './ledger.ts';
import {
  type AccountState,
  type Books,
  type Moved,
  type Movement,
  pairOf,
  type Parties,
  type PendingCounts,
} from './movement.ts';
import { type ExpiredSum, ReservationsRepository } from './reservations.repository.ts';

/** A movement that was written. */
export interface Booked {
  readonly movement: Movement;
  readonly createdAt: Date;
  /** Both accounts as this one left them. */
  readonly after: Moved;
}

/** The locked accounts of one boundary: as they were when locked, and as the decisions since then leave them. */
export interface LockedAccounts extends Books {
  readonly locked: ReadonlyMap<string, AccountState>;
  readonly accounts: Map<string, AccountState>;
  /** When they were locked, by the database's clock; all that is decided over them is decided at this moment. */
  readonly now: Date;
  /** Who may have more pending by what is decided here: nobody else counts them meanwhile. */
  readonly senders: ReadonlySet<string>;
  /** Whether expired reservations were summed: this is done once, however many movements need room. */
  isRid: boolean;
}

/** Carries out decisions of the ledger: locks, decides, writes. Runs inside the boundary of its caller. */
@Injectable()
export class LedgerService {
  constructor(
    private readonly ledger: LedgerRepository,
    private readonly reservations: ReservationsRepository,
    private readonly events: Events,
    private readonly clock: Clock,
    @Inject(LedgerConfig.KEY) private readonly config: Config['ledger'],
  ) {}

  /** Lifetime of a pending transfer that sets none, in seconds. */
  get pendingSeconds(): number {
    return this.config.pendingSeconds;
  }

  now(): Date {
    return this.clock.now();
  }

  /** Locks, in id order, the accounts of the movements that may be, as far as it is known without a lock. */
  async open(movements: readonly Movement[], rows: Rows = 'wait'): Promise<LockedAccounts> {
    const parties = await this.ledger.listParties(
      movements.flatMap(({ fromAccountId, toAccountId }) => [fromAccountId, toAccountId]),
    );
    const waiting = movements.filter((one) => one.expiresAt !== null && accountsOf(parties, one).length > 0);
    const wanted = waiting.map(({ by }) => by.userId);
    const senders = wanted.length === 0 ? new Set<string>() : await this.reservations.lockSenders(wanted, rows);
    const books = await this.lock(
      movements.flatMap((one) => accountsOf(parties, one)),
      rows,
    );
    const pending = senders.size === 0 ? null : await this.countPending([...senders], books);
    return { ...books, parties, pending, senders };
  }

  /** Locks accounts in id order, for somebody whose right to it is known. */
  async lock(accountIds: readonly string[], rows: Rows = 'wait'): Promise<LockedAccounts> {
    const parties = await this.ledger.listParties(accountIds);
    const { accounts: locked, at } = await this.ledger.lock(accountIds, rows);
    const now = latest([at ?? this.clock.now(), ...[...locked.values()].map(({ expiredThrough }) => expiredThrough)]);
    return { parties, locked, accounts: new Map(locked), now, pending: null, senders: new Set(), isRid: false };
  }

  /** Whether it needs an account, or the turn of a sender, that was left out because somebody else had it. */
  isHeld({ parties, locked, senders }: LockedAccounts, movement: Movement): boolean {
    const accounts = accountsOf(parties, movement);
    if (accounts.some((id) => !locked.has(id))) return true;
    return accounts.length > 0 && movement.expiresAt !== null && !senders.has(movement.by.userId);
  }

  /** Whose the accounts are, without a lock: those that there are. */
  parties(accountIds: readonly string[]): Promise<Parties> {
    return this.ledger.listParties(accountIds);
  }

  /** What has expired by now and still counts on the accounts, by account. */
  async sumExpired(accountIds: readonly string[]): Promise<Map<string, ExpiredSum>> {
    const sums = await this.reservations.sumExpired(accountIds, this.clock.now());
    return new Map(sums.map((sum) => [sum.accountId, sum]));
  }

  /** Moves money, or refuses: locks both accounts, decides, writes. Throws what `decide` says, and transfer-exists. */
  async book(movement: Movement): Promise<Booked> {
    return this.bookIn(await this.open([movement]), movement);
  }

  /** The same between accounts that are locked already. */
  async bookIn(books: LockedAccounts, movement: Movement): Promise<Booked> {
    const after = await this.decide(books, movement);
    const [booked] = await this.write(books, [{ movement, after }]);
    return booked ?? changedMeanwhile();
  }

  /** Decides about one movement over the accounts as they are by now, and has them be what comes of it. Throws what `decide` says. */
  async decide(books: LockedAccounts, movement: Movement): Promise<Moved> {
    const moved = await this.withRoom(books, () => decide(books, movement), wantsRoom);
    applyDecision(books, moved, movement);
    return moved;
  }

  /** The same as far as its caller may see: the accounts are what comes of it, as far as that. */
  async foresee(books: LockedAccounts, movement: Movement) {
    const foreseen = await this.withRoom(books, () => foresee(books, movement), wantsRoom);
    applyDecision(books, foreseen, movement);
    return foreseen;
  }

  /** Decides; if the refusal is for lack of room, decides again without expired reservations. */
  async withRoom<T>(
    books: LockedAccounts,
    decision: () => T,
    isWanting: (refusal: ProblemError) => boolean,
  ): Promise<T> {
    const decided = attempt(decision);
    if (!(decided instanceof ProblemError)) return decided;
    if (isWanting(decided) && (await this.leaveOutExpired(books))) return decision();
    throw decided;
  }

  /** Writes what was decided, in the order of the decisions, with one statement. */
  async write(books: LockedAccounts, decided: readonly Omit<Booked, 'createdAt'>[]): Promise<Booked[]> {
    const changes = changesOf(books);
    if (changes.length === 0) return [];
    const written = await this.ledger.write({
      changes,
      movements: decided.map(({ movement }) => movement),
      entries: decided.flatMap(({ movement, after }) => entriesOf(movement, after)),
      reservations: decided.flatMap(({ movement }) => reservationsOf(movement)),
    });
    if (written.length < decided.length) changedMeanwhile();
    for (const one of decided) this.events.record(movementEvent(one));
    const times = new Map(written.map(({ id, createdAt }) => [id, createdAt]));
    return decided.map((one) => ({ ...one, createdAt: times.get(one.movement.id) ?? changedMeanwhile() }));
  }

  /** Writes what became of pending transfers, with one statement. Gives when, by transfer: none unless all was as it was. */
  async settle(
    books: LockedAccounts,
    rows: readonly SettlementRow[],
    entries: readonly EntryRow[],
  ): Promise<Map<string, Date>> {
    const written = await this.ledger.settle(rows, changesOf(books), entries);
    return new Map(written.map(({ id, createdAt }) => [id, createdAt]));
  }

  /** The same books without a lock, for what writes nothing. */
  async read(movement: Movement): Promise<LockedAccounts> {
    const ids = [movement.fromAccountId, movement.toAccountId];
    const parties = await this.ledger.listParties(ids);
    const loaded = await this.ledger.load(accountsOf(parties, movement));
    const books = { parties, locked: loaded, accounts: new Map(loaded), now: this.clock.now(), isRid: false };
    const pending = movement.expiresAt === null ? null : await this.countPending([movement.by.userId], books);
    return { ...books, pending, senders: new Set() };
  }

  private async countPending(senders: readonly string[], { accounts, now }: Pick<LockedAccounts, 'accounts' | 'now'>) {
    const counts: PendingCounts = { ofSender: new Map(), ofPair: new Map(), onReceiver: new Map() };
    for (const { senderId, accountId, count } of await this.reservations.count(senders, [...accounts.keys()], now))
      if (senderId === null) add(counts.onReceiver, accountId, count);
      else {
        add(counts.ofSender, senderId, count);
        add(counts.ofPair, pairOf({ by: { userId: senderId }, toAccountId: accountId }), count);
      }
    return { counts, bounds: this.config.pending };
  }

  /** Whether anything that has expired counted on the accounts, and counts no more: written with all that is decided. */
  private async leaveOutExpired(books: LockedAccounts): Promise<boolean> {
    if (books.isRid) return false;
    books.isRid = true;
    const ids = [...books.locked.values()].filter(isReserved).map(({ id }) => id);
    if (ids.length === 0) return false;
    const expired = await this.reservations.sumExpired(ids, books.now);
    for (const sum of expired) {
      const account = books.accounts.get(sum.accountId) ?? changedMeanwhile();
      const [pendingOut, pendingIn] = [account.pendingOut - sum.out, account.pendingIn - sum.in];
      books.accounts.set(account.id, { ...account, pendingOut, pendingIn, expiredThrough: books.now });
      if (books.pending !== null) add(books.pending.counts.onReceiver, account.id, -sum.inCount);
    }
    return expired.length > 0;
  }
}

const isReserved = ({ pendingOut, pendingIn }: AccountState): boolean => pendingOut > 0n || pendingIn > 0n;

function applyDecision(
  books: LockedAccounts,
  { from, to }: { from: AccountState; to: AccountState | null },
  movement: Movement,
): void {
  books.accounts.set(from.id, from);
  if (to !== null) books.accounts.set(to.id, to);
  if (movement.expiresAt === null || books.pending === null) return;
  const { counts } = books.pending;
  add(counts.ofSender, movement.by.userId, 1);
  add(counts.ofPair, pairOf(movement), 1);
  add(counts.onReceiver, movement.toAccountId, 1);
}

function add(counts: Map<string, number>, key: string, more: number): void {
  counts.set(key, (counts.get(key) ?? 0) + more);
}

/** Books of their own, over the same accounts: for what is tried and not meant. */
export const copyOf = (books: LockedAccounts): LockedAccounts => ({
  ...books,
  accounts: new Map(books.accounts),
  pending: books.pending && {
    ...books.pending,
    counts: {
      ofSender: new Map(books.pending.counts.ofSender),
      ofPair: new Map(books.pending.counts.ofPair),
      onReceiver: new Map(books.pending.counts.onReceiver),
    },
  },
});

/** Each account that is not as it was locked. */
const changesOf = ({ locked, accounts }: LockedAccounts): Change[] => changesBetween(locked, accounts);
