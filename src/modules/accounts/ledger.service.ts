import { Inject, Injectable } from '@nestjs/common';
import { type Config, LedgerConfig } from '../../config/config.ts';
import { Clock } from '../../kernel/clock.ts';
import { AppError, conflict, notFound, unavailable } from '../../kernel/errors.ts';
import type { AccountState, Party } from './account.ts';
import { AccountParties } from './account-parties.ts';
import { type Books, type Decision, decide, foresee, wantsRoom } from './ledger.ts';
import { LedgerRepository } from './ledger.repository.ts';
import { type Change, changesBetween, entriesOf, reservationsOf } from './ledger-rows.ts';
import type { Moved, Movement, PendingCounts } from './movement.ts';
import { accountsOf } from './parties.ts';
import { type ExpiredSum, ReservationsRepository } from './reservations.repository.ts';

/** A movement that was written. */
export interface Booked {
  readonly movement: Movement;
  readonly createdAt: Date;
  /** Both accounts as this one left them. */
  readonly after: Moved;
}

/** The accounts of one boundary: as they were locked, and as what has been decided since leaves them. */
export interface OpenBooks extends Books {
  readonly locked: ReadonlyMap<string, AccountState>;
  readonly accounts: Map<string, AccountState>;
  /** When they were locked; all that is decided over them is decided at this moment. */
  readonly now: Date;
  /** Whether what has expired was asked for: it is asked once, however many want room. */
  isRid: boolean;
}

/** The ledger's own way from a decision to the books. It runs inside the boundary of whoever asks. */
@Injectable()
export class LedgerService {
  constructor(
    private readonly ledger: LedgerRepository,
    private readonly reservations: ReservationsRepository,
    private readonly parties: AccountParties,
    private readonly clock: Clock,
    @Inject(LedgerConfig.KEY) private readonly config: Config['ledger'],
  ) {}

  /** Life of a pending transfer that says nothing of it, in seconds. */
  get pendingSeconds(): number {
    return this.config.pendingSeconds;
  }

  now(): Date {
    return this.clock.now();
  }

  /** Locks, in id order, the accounts of the movements that may be, as far as it is known without a lock. */
  async open(movements: readonly Movement[]): Promise<OpenBooks> {
    const parties = await this.parties.find(
      movements.flatMap(({ fromAccountId, toAccountId }) => [fromAccountId, toAccountId]),
    );
    const waiting = movements.filter((one) => one.expiresAt !== null && accountsOf(parties, one).length > 0);
    const sender = waiting[0]?.by.userId;
    if (sender !== undefined) await this.reservations.lockSender(sender);
    const books = await this.lock(movements.flatMap((one) => accountsOf(parties, one)));
    const pending = sender === undefined ? null : await this.countPending(sender, books);
    return { ...books, parties, pending };
  }

  /** Locks accounts in id order, for somebody whose right to it is known. */
  async lock(accountIds: readonly string[]): Promise<OpenBooks> {
    const parties = await this.parties.find(accountIds);
    const locked = await this.ledger.lock(accountIds);
    const now = latest([this.clock.now(), ...[...locked.values()].map(({ expiredThrough }) => expiredThrough)]);
    return { parties, locked, accounts: new Map(locked), now, pending: null, isRid: false };
  }

  /** Whose an account is, without a lock; undefined where there is none. */
  async party(id: string): Promise<Party | undefined> {
    return (await this.parties.find([id])).get(id);
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
  async bookIn(books: OpenBooks, movement: Movement): Promise<Booked> {
    const decision = await this.decide(books, movement);
    if (decision instanceof AppError) throw decision;
    const [booked] = await this.write(books, [{ movement, after: decision }]);
    return booked ?? changedMeanwhile();
  }

  /** Decides about one movement over the accounts as they are by now, and has them be what comes of it. */
  async decide(books: OpenBooks, movement: Movement): Promise<Decision> {
    const decided = await this.withRoom(books, () => decide(books, movement), wantsRoom);
    if (!(decided instanceof AppError)) keep(books, decided, movement);
    return decided;
  }

  /** Why the movement is refused as far as its caller may see; else the accounts are what comes of it, as far as that. */
  async foresee(books: OpenBooks, movement: Movement) {
    const foreseen = await this.withRoom(books, () => foresee(books, movement), wantsRoom);
    if (!(foreseen instanceof AppError)) keep(books, foreseen, movement);
    return foreseen;
  }

  /** Decides, and where the refusal wants room decides once more without what has expired. */
  async withRoom<T>(
    books: OpenBooks,
    decision: () => T | AppError,
    isWanting: (refusal: AppError) => boolean,
  ): Promise<T | AppError> {
    const decided = decision();
    if (!(decided instanceof AppError) || !isWanting(decided)) return decided;
    return (await this.leaveOutExpired(books)) ? decision() : decided;
  }

  /** Writes what was decided, in the order of the decisions, with one statement. */
  async write(books: OpenBooks, decided: readonly Omit<Booked, 'createdAt'>[]): Promise<Booked[]> {
    const changes = changesOf(books);
    if (changes.length === 0) return [];
    const written = await this.ledger.write({
      changes,
      movements: decided.map(({ movement }) => movement),
      entries: decided.flatMap(({ movement, after }) => entriesOf(movement, after)),
      reservations: decided.flatMap(({ movement }) => reservationsOf(movement)),
    });
    if (written.length < decided.length) changedMeanwhile();
    const times = new Map(written.map(({ id, createdAt }) => [id, createdAt]));
    return decided.map((one) => ({ ...one, createdAt: times.get(one.movement.id) ?? changedMeanwhile() }));
  }

  /** Why ids cannot be those of new transfers: `transfer-exists`; of one that the caller may not see, `transfer-not-found`, as of any other. */
  async taken(by: Movement['by'], ids: readonly string[]): Promise<Map<string, AppError>> {
    const existing = ids.length === 0 ? [] : await this.ledger.listExisting(ids);
    const isSeen = ({ fromAccount, toAccount }: (typeof existing)[number]): boolean =>
      by.role === 'operator' || [fromAccount, toAccount].some(({ userId }) => userId === by.userId);
    return new Map(existing.map((one) => [one.id, isSeen(one) ? existsAlready() : notYours()]));
  }

  /** The same books without a lock, for what writes nothing. */
  async read(movement: Movement): Promise<OpenBooks> {
    const ids = [movement.fromAccountId, movement.toAccountId];
    const parties = await this.parties.find(ids);
    const loaded = await this.ledger.load(accountsOf(parties, movement));
    const books = { parties, locked: loaded, accounts: new Map(loaded), now: this.clock.now(), isRid: false };
    const pending = movement.expiresAt === null ? null : await this.countPending(movement.by.userId, books);
    return { ...books, pending };
  }

  private async countPending(userId: string, { accounts, now }: Pick<OpenBooks, 'accounts' | 'now'>) {
    const { ofPair, onReceiver } = await this.reservations.count(userId, [...accounts.keys()], now);
    const ofSender = [...ofPair.values()].reduce((sum, one) => sum + one, 0);
    const counts: PendingCounts = { ofSender, ofPair, onReceiver };
    return { counts, bounds: this.config.pending };
  }

  /** Whether anything that has expired counted on the accounts, and counts no more: written with all that is decided. */
  private async leaveOutExpired(books: OpenBooks): Promise<boolean> {
    if (books.isRid) return false;
    books.isRid = true;
    const ids = [...books.locked.values()].filter(isReserved).map(({ id }) => id);
    if (ids.length === 0) return false;
    const expired = await this.reservations.sumExpired(ids, books.now);
    for (const sum of expired) {
      const account = books.accounts.get(sum.accountId) ?? changedMeanwhile();
      const [pendingOut, pendingIn] = [account.pendingOut - sum.out, account.pendingIn - sum.in];
      books.accounts.set(account.id, { ...account, pendingOut, pendingIn, expiredThrough: books.now });
      books.pending?.counts.onReceiver.set(
        account.id,
        (books.pending.counts.onReceiver.get(account.id) ?? 0) - sum.inCount,
      );
    }
    return expired.length > 0;
  }
}

const isReserved = ({ pendingOut, pendingIn }: AccountState): boolean => pendingOut > 0n || pendingIn > 0n;

const latest = (moments: readonly Date[]): Date => new Date(Math.max(...moments.map(Number)));

function keep(
  books: OpenBooks,
  { from, to }: { from: AccountState; to: AccountState | null },
  movement: Movement,
): void {
  books.accounts.set(from.id, from);
  if (to !== null) books.accounts.set(to.id, to);
  if (movement.expiresAt === null || books.pending === null) return;
  const { counts } = books.pending;
  counts.ofSender++;
  for (const count of [counts.ofPair, counts.onReceiver])
    count.set(movement.toAccountId, (count.get(movement.toAccountId) ?? 0) + 1);
}

/** Books of their own, over the same accounts: for what is tried and not meant. */
export const copyOf = (books: OpenBooks): OpenBooks => ({
  ...books,
  accounts: new Map(books.accounts),
  pending: books.pending && {
    ...books.pending,
    counts: {
      ofSender: books.pending.counts.ofSender,
      ofPair: new Map(books.pending.counts.ofPair),
      onReceiver: new Map(books.pending.counts.onReceiver),
    },
  },
});

/** Each account that is not as it was locked. */
export const changesOf = ({ locked, accounts }: OpenBooks): Change[] => changesBetween(locked, accounts);

// Not reachable while the rows are locked; the guard is in the statement all the same.
export function changedMeanwhile(): never {
  throw unavailable('transient-contention', 'The data was busy for too long. Nothing was stored.', { retryable: true });
}

export const existsAlready = (): AppError => conflict('transfer-exists', 'It exists already.');

const notYours = (): AppError =>
  notFound('transfer-not-found', 'There is no such transfer of yours.', {
    errors: [{ pointer: '/id', code: 'transfer-not-found' }],
  });
