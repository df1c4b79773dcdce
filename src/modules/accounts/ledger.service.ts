import { Injectable } from '@nestjs/common';
import { Clock } from '../../kernel/clock.ts';
import { AppError, conflict, unavailable } from '../../kernel/errors.ts';
import type { AccountState } from './account.ts';
import { type Decision, decide, type Moved, type Movement, wantsRoom } from './ledger.ts';
import { LedgerRepository } from './ledger.repository.ts';
import type { Change, EntryRow, ReservationRow } from './ledger-rows.ts';
import { InvariantError } from '../../kernel/loggable-error.ts';

/** A movement that was written. */
export interface Booked {
  readonly movement: Movement;
  readonly createdAt: Date;
  /** Both accounts as this one left them. */
  readonly after: Moved;
}

/** The accounts of one boundary: as they were locked, and as what has been decided since leaves them. */
export interface OpenBooks {
  readonly locked: Map<string, AccountState>;
  readonly accounts: Map<string, AccountState>;
}

// So many expired transfers are written off at once.
const mostReleased = 100;

/** The ledger's own way from a decision to the books. It runs inside the boundary of whoever asks. */
@Injectable()
export class LedgerService {
  constructor(
    private readonly ledger: LedgerRepository,
    private readonly clock: Clock,
  ) {}

  /** Locks the accounts in id order, also those of many movements at once. */
  async open(accountIds: readonly string[]): Promise<OpenBooks> {
    const locked = await this.ledger.lock(accountIds);
    return { locked, accounts: new Map(locked) };
  }

  /**
   * Moves money, or refuses: locks both accounts, decides, writes. Throws what `decide` says, and transfer-exists.
   */
  async book(movement: Movement): Promise<Booked> {
    return this.bookIn(await this.open([movement.fromAccountId, movement.toAccountId]), movement);
  }

  /** The same between accounts that are locked already. */
  async bookIn(books: OpenBooks, movement: Movement): Promise<Booked> {
    const decision = await this.decide(books, movement);
    if (decision instanceof AppError) throw decision;
    const [booked] = await this.write(books, [{ movement, after: decision }]);
    return booked ?? changedMeanwhile();
  }

  /**
   * Decides about one movement over the accounts as they are by now, and has them be what comes of it. When the room is lacking that expired
   * transfers still take, they are written off first.
   */
  async decide(books: OpenBooks, movement: Movement): Promise<Decision> {
    const decided = await this.withRoom(
      books,
      [movement.fromAccountId, movement.toAccountId],
      () => decide(books.accounts, movement),
      wantsRoom,
    );
    if (!(decided instanceof AppError)) keep(books, decided);
    return decided;
  }

  /** Decides, and where the refusal wants room decides again for as long as expired transfers take some. */
  async withRoom<T>(
    books: OpenBooks,
    accountIds: readonly string[],
    decision: () => T | AppError,
    isWanting: (refusal: AppError) => boolean,
  ): Promise<T | AppError> {
    let decided = decision();
    while (decided instanceof AppError && isWanting(decided) && (await this.release(books, accountIds)))
      decided = decision();
    return decided;
  }

  /** Writes what was decided, in the order of the decisions, with one statement. */
  async write(books: OpenBooks, decided: readonly Omit<Booked, 'createdAt'>[]): Promise<Booked[]> {
    if (decided.length === 0) return [];
    const written = await this.ledger.write({
      changes: changesOf(books),
      movements: decided.map(({ movement }) => movement),
      entries: decided.flatMap(({ movement, after }) => entriesOf(movement, after)),
      reservations: decided.flatMap(({ movement }) => reservationsOf(movement)),
    });
    if (written.length < decided.length) changedMeanwhile();
    const times = new Map(written.map(({ id, createdAt }) => [id, createdAt]));
    return decided.map((one) => ({ ...one, createdAt: times.get(one.movement.id) ?? changedMeanwhile() }));
  }

  /** Which of these transfers are there already. */
  async taken(ids: readonly string[]): Promise<ReadonlySet<string>> {
    return ids.length === 0 ? new Set() : this.ledger.listExisting(ids);
  }

  /** Whether expired transfers took room on the accounts, and have been written off. */
  private async release(books: OpenBooks, accountIds: readonly string[]): Promise<boolean> {
    const ids = accountIds.filter((id) => isReserved(books.locked.get(id)));
    if (ids.length === 0) return false;
    const expired = await this.ledger.listExpired(ids, this.clock.now(), mostReleased);
    if (expired.length === 0) return false;
    const before = new Map(books.locked);
    for (const row of expired) free(books, row);
    const ours = [...new Set(expired.map(({ accountId }) => accountId))];
    const changes = ours.map((id) => changeOf(before.get(id), books.locked.get(id)));
    return (await this.ledger.release(changes, expired)) || changedMeanwhile();
  }
}

const isReserved = (account?: AccountState): boolean =>
  account !== undefined && (account.pendingOut > 0n || account.pendingIn > 0n);

// What is decided already in the same boundary keeps its effect, as only sums are changed.
function free({ locked, accounts }: OpenBooks, { accountId, side, amount }: ReservationRow): void {
  const freed = (account: AccountState): AccountState =>
    side === 'out'
      ? { ...account, pendingOut: account.pendingOut - amount }
      : { ...account, pendingIn: account.pendingIn - amount };
  const [before, now] = [locked.get(accountId), accounts.get(accountId)];
  if (before === undefined || now === undefined) return;
  locked.set(accountId, freed(before));
  accounts.set(accountId, now === before ? (locked.get(accountId) ?? now) : freed(now));
}

export function keep({ accounts }: OpenBooks, { from, to }: Moved): void {
  accounts.set(from.id, from);
  accounts.set(to.id, to);
}

/** Each account that is not as it was locked. */
export const changesOf = ({ locked, accounts }: OpenBooks): Change[] =>
  [...accounts.values()]
    .map((after) => changeOf(locked.get(after.id), after))
    .filter(({ before, after }) => before !== after);

function changeOf(before?: AccountState, after?: AccountState): Change {
  if (before === undefined || after === undefined)
    throw new InvariantError('An account that was not locked is to be changed.');
  return { before, after };
}

/** Both sides of what is posted at once. */
function entriesOf({ id, amount: { amount }, expiresAt }: Movement, { from, to }: Moved): EntryRow[] {
  return expiresAt === null ? entryPair(id, amount, { from, to }) : [];
}

export const entryPair = (transferId: string, amount: bigint, { from, to }: Moved): EntryRow[] => [
  { accountId: from.id, seq: from.entryCount, transferId, amount: -amount, balanceAfter: from.balance },
  { accountId: to.id, seq: to.entryCount, transferId, amount, balanceAfter: to.balance },
];

/** Both sides of what is pending. */
function reservationsOf(movement: Movement): ReservationRow[] {
  const { id: transferId, amount, expiresAt, fromAccountId, toAccountId } = movement;
  if (expiresAt === null) return [];
  const row = { transferId, amount: amount.amount, expiresAt };
  return [
    { ...row, accountId: fromAccountId, side: 'out' },
    { ...row, accountId: toAccountId, side: 'in' },
  ];
}

// Not reachable while the rows are locked; the guard is in the statement all the same.
export function changedMeanwhile(): never {
  throw unavailable('transient-contention', 'The data was busy for too long. Nothing was stored.', { retryable: true });
}

export const existsAlready = (): AppError => conflict('transfer-exists', 'It exists already.');
