import { InvariantError } from '../../kernel/loggable-error.ts';
import type { AccountState, Moved, Movement } from './movement.ts';

/** An account as it was locked and as it is to be. */
export interface Change {
  readonly before: AccountState;
  readonly after: AccountState;
}

/** One side of a transfer as an account will have it. */
export interface EntryRow {
  readonly accountId: string;
  readonly seq: number;
  readonly transferId: string;
  readonly amount: bigint;
  readonly balanceAfter: bigint;
}

/** What a pending transfer reserves on one account. */
export interface ReservationRow {
  readonly transferId: string;
  readonly accountId: string;
  readonly side: 'out' | 'in';
  readonly amount: bigint;
  readonly expiresAt: Date;
  /** Who owns the account that the money is to leave. */
  readonly senderId: string;
}

/** All that is written for some transfers. */
export interface LedgerWrite {
  readonly changes: readonly Change[];
  readonly movements: readonly Movement[];
  readonly entries: readonly EntryRow[];
  readonly reservations: readonly ReservationRow[];
}

/** What became of a pending transfer. */
export interface SettlementRow {
  readonly transferId: string;
  readonly outcome: 'posted' | 'voided';
  readonly amount: bigint | null;
  readonly createdById: string;
}

/** Each account that is not as it was locked. */
export function changesBetween(
  locked: ReadonlyMap<string, AccountState>,
  accounts: ReadonlyMap<string, AccountState>,
): Change[] {
  return [...accounts.values()]
    .map((after) => changeOf(locked.get(after.id), after))
    .filter(({ before, after }) => before !== after);
}

function changeOf(before: AccountState | undefined, after: AccountState): Change {
  if (before === undefined) throw new InvariantError('An account that was not locked is to be changed.');
  return { before, after };
}

/** Both sides of what is posted at once. */
export const entriesOf = ({ id, amount: { amount }, expiresAt }: Movement, moved: Moved): EntryRow[] =>
  expiresAt === null ? entryPair(id, amount, moved) : [];

export const entryPair = (transferId: string, amount: bigint, { from, to }: Moved): EntryRow[] => [
  { accountId: from.id, seq: from.entryCount, transferId, amount: -amount, balanceAfter: from.balance },
  { accountId: to.id, seq: to.entryCount, transferId, amount, balanceAfter: to.balance },
];

/** Both sides of what is pending. */
export function reservationsOf(movement: Movement): ReservationRow[] {
  const { id: transferId, amount, expiresAt, fromAccountId, toAccountId, by } = movement;
  if (expiresAt === null) return [];
  const row = { transferId, amount: amount.amount, expiresAt, senderId: by.userId };
  return [
    { ...row, accountId: fromAccountId, side: 'out' },
    { ...row, accountId: toAccountId, side: 'in' },
  ];
}

// Column by column, as unnest() takes them. Amounts as texts: a bigint inside an array is not passed on as what it is.

export const changeColumns = (changes: readonly Change[]) => ({
  ids: changes.map(({ after }) => after.id),
  seenVersions: changes.map(({ before }) => before.version),
  seen: changes.map(({ before }) => before.balanceVersion),
  balances: changes.map(({ after }) => `${after.balance}`),
  out: changes.map(({ after }) => `${after.pendingOut}`),
  in: changes.map(({ after }) => `${after.pendingIn}`),
  expired: changes.map(({ after }) => after.expiredThrough.toISOString()),
  entryCounts: changes.map(({ after }) => after.entryCount),
  versions: changes.map(({ after }) => after.balanceVersion),
});

export const movementColumns = (movements: readonly Movement[]) => ({
  ids: movements.map(({ id }) => id),
  kinds: movements.map(({ kind }) => kind),
  from: movements.map(({ fromAccountId }) => fromAccountId),
  to: movements.map(({ toAccountId }) => toAccountId),
  amounts: movements.map(({ amount }) => `${amount.amount}`),
  currencies: movements.map(({ amount }) => amount.currency),
  notes: movements.map(({ note }) => note),
  by: movements.map(({ by }) => by.userId),
  expiring: movements.map(({ expiresAt }) => expiresAt?.toISOString() ?? null),
  reverses: movements.map(({ reverses }) => reverses?.id ?? null),
  seqs: movements.map(({ reverses }) => reverses?.seq ?? null),
  totals: movements.map(({ reverses }) => reverses?.total.toString() ?? null),
});

export const entryColumns = (entries: readonly EntryRow[]) => ({
  accounts: entries.map(({ accountId }) => accountId),
  seqs: entries.map(({ seq }) => seq),
  transfers: entries.map(({ transferId }) => transferId),
  amounts: entries.map(({ amount }) => `${amount}`),
  balances: entries.map(({ balanceAfter }) => `${balanceAfter}`),
});

export const reservationColumns = (reservations: readonly ReservationRow[]) => ({
  transfers: reservations.map(({ transferId }) => transferId),
  accounts: reservations.map(({ accountId }) => accountId),
  sides: reservations.map(({ side }) => side),
  amounts: reservations.map(({ amount }) => `${amount}`),
  expiring: reservations.map(({ expiresAt }) => expiresAt.toISOString()),
  senders: reservations.map(({ senderId }) => senderId),
});

export const settlementColumns = (rows: readonly SettlementRow[]) => ({
  transfers: rows.map(({ transferId }) => transferId),
  outcomes: rows.map(({ outcome }) => outcome),
  amounts: rows.map(({ amount }) => amount?.toString() ?? null),
  by: rows.map(({ createdById }) => createdById),
});
