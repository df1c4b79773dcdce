import { type AppError, conflict, invalid } from '../../kernel/errors.ts';
import { largestAmount } from '../../kernel/money.ts';
import { type AccountState, availableOf, canCount, canHold, mismatch, placed, sees } from './account.ts';
import {
  type Condition,
  type Moved,
  type Movement,
  type PendingBounds,
  type PendingCounts,
  pointers,
  type Side,
  sides,
} from './movement.ts';
import { cannotReceive, missing, type Parties, refuseReceiver, refuseSender } from './parties.ts';

// What a transfer may do is decided here, over accounts whose rows are locked, and nowhere else: for one, for a batch, for a preview.

export type Accounts = ReadonlyMap<string, AccountState>;

/** What a movement is decided over. */
export interface Books {
  /** Every account that was named, as far as it is there. */
  readonly parties: Parties;
  /** Those that may take part, as they are by now. */
  readonly accounts: Accounts;
  /** Of reservations; null where nothing is to be pending. */
  readonly pending: { readonly counts: PendingCounts; readonly bounds: PendingBounds } | null;
}

/** Why it may not be, or what comes of it. */
export type Decision = AppError | Moved;

/** What comes of it where the caller may see it. */
export interface Foreseen {
  readonly from: AccountState;
  readonly to: AccountState | null;
}

/**
 * Decides about one movement. What the caller may know comes first; only what could be made otherwise asks the account of somebody else, and
 * is refused in one way, `cannot-receive`. To whoever may see the account: `account-not-found`, `same-account`, `currency-mismatch`,
 * `account-closed`, `account-frozen`, `condition-not-met`, `insufficient-funds`, `balance-too-large`, `too-many-pending`, `own-account`.
 */
export function decide(books: Books, movement: Movement): Decision {
  const foreseen = foresee(books, movement);
  if (!('from' in foreseen)) return foreseen;
  if (foreseen.to !== null) return { ...foreseen, to: foreseen.to };
  const to = books.accounts.get(movement.toAccountId);
  const isRefused = to === undefined || refuseReceiver(books.parties, movement) !== null || isFull(books, to, movement);
  return isRefused ? cannotReceive(pointers[movement.kind]?.to) : { ...foreseen, to: received(to, movement) };
}

/** The same as far as the caller may see: whether the account of somebody else can receive it is not asked. */
export function foresee(books: Books, movement: Movement): AppError | Foreseen {
  const refusal = refuseSender(books.parties, movement);
  if (refusal) return refusal;
  const seen = movement.by.role === 'operator' || isSeen(books, movement);
  return (seen ? refuseReceiver(books.parties, movement) : null) ?? foreseeIn(books, movement, seen);
}

function foreseeIn(books: Books, movement: Movement, seen: boolean): AppError | Foreseen {
  const from = books.accounts.get(movement.fromAccountId);
  const to = seen ? books.accounts.get(movement.toAccountId) : null;
  if (from === undefined) return missing(pointers[movement.kind]?.from);
  if (to === undefined) return missing(pointers[movement.kind]?.to);
  const refusal = refuse(books, { from, to }, movement);
  return refusal ?? { from: sent(from, movement), to: to && received(to, movement) };
}

function isSeen({ parties }: Books, { by, toAccountId }: Movement): boolean {
  const to = parties.get(toAccountId);
  return to !== undefined && sees(by, to);
}

function refuse(books: Books, both: Foreseen, movement: Movement): AppError | null {
  return (
    refuseShut(both, pointers[movement.kind]) ??
    refuseConditions(both, movement) ??
    refuseFunds(both.from, movement.amount.amount) ??
    refusePending(books, both, movement) ??
    (both.to && refuseRoom(both.to, movement))
  );
}

/** Nothing is posted from or to an account that is closed or frozen. */
export function refuseShut(both: Foreseen, at?: Record<Side, string>): AppError | null {
  for (const side of sides) {
    const account = both[side];
    if (account && account.closedAt !== null)
      return conflict('account-closed', 'The account is closed.', placed('account-closed', at?.[side]));
    if (account && account.frozenAt !== null)
      return conflict('account-frozen', 'The account is frozen.', placed('account-frozen', at?.[side]));
  }
  return null;
}

function refuseConditions(both: Foreseen, { conditions }: Movement): AppError | null {
  for (const side of sides) {
    const [account, condition] = [both[side], conditions[side]];
    const refusal = account && condition && refuseCondition(account, condition, `/conditions/${side}`);
    if (refusal) return refusal;
  }
  return null;
}

function refuseCondition(account: AccountState, condition: Condition, pointer: string): AppError | null {
  const { ifVersion, ifAvailableAtLeast: least } = condition;
  if (least && least.currency !== account.currency)
    return mismatch(account.currency, `${pointer}/ifAvailableAtLeast/currency`);
  if (ifVersion !== undefined && ifVersion !== account.balanceVersion) return unmet(`${pointer}/ifVersion`);
  if (least && availableOf(account) < least.amount) return unmet(`${pointer}/ifAvailableAtLeast`);
  return null;
}

function refuseFunds(from: AccountState, amount: bigint): AppError | null {
  // Money enters the house through cash: its balance is what the outside world has paid in, below zero.
  if (from.house !== 'cash' && availableOf(from) < amount)
    return invalid('insufficient-funds', 'The account does not hold that much.');
  return from.balance - amount < -largestAmount ? tooLarge() : null;
}

function refuseRoom(to: AccountState, movement: Movement): AppError | null {
  return hasRoom(to, movement) ? null : tooLarge();
}

/** What is pending needs room when it is posted, and a refund never: what was taken from an account comes back to it. */
const hasRoom = (to: AccountState, { kind, expiresAt, amount: { amount } }: Movement): boolean =>
  kind === 'refund' || expiresAt !== null ? canCount(to, amount) : canHold(to, amount);

function refusePending({ pending }: Books, { to }: Foreseen, movement: Movement): AppError | null {
  if (pending === null || movement.expiresAt === null) return null;
  const { counts, bounds } = pending;
  if (counts.ofSender >= bounds.perSender) return tooMany(`You have ${bounds.perSender} pending transfers.`);
  if ((counts.ofPair.get(movement.toAccountId) ?? 0) >= bounds.perPair)
    return tooMany(`You have ${bounds.perPair} pending transfers to this account.`);
  return to && isCrowded(pending, to) ? tooMany('There are too many pending transfers to this account.') : null;
}

const isCrowded = ({ counts, bounds }: NonNullable<Books['pending']>, to: AccountState): boolean =>
  (counts.onReceiver.get(to.id) ?? 0) >= bounds.perReceiver;

/** Why an account that the caller may not see cannot receive it. */
function isFull({ pending }: Books, to: AccountState, movement: Movement): boolean {
  const isShut = to.closedAt !== null || to.frozenAt !== null;
  return (
    isShut || !hasRoom(to, movement) || (pending !== null && movement.expiresAt !== null && isCrowded(pending, to))
  );
}

const wanting: ReadonlySet<string> = new Set([
  'insufficient-funds',
  'balance-too-large',
  'condition-not-met',
  'too-many-pending',
  'cannot-receive',
]);

/** Whether what has expired and still counts could be what is missing. */
export const wantsRoom = ({ code }: AppError): boolean => wanting.has(code);

function sent(from: AccountState, { amount: { amount }, expiresAt }: Movement): AccountState {
  return expiresAt === null ? entered(from, -amount) : counted({ ...from, pendingOut: from.pendingOut + amount });
}

function received(to: AccountState, { amount: { amount }, expiresAt }: Movement): AccountState {
  return expiresAt === null ? entered(to, amount) : counted({ ...to, pendingIn: to.pendingIn + amount });
}

export const counted = (account: AccountState): AccountState => ({
  ...account,
  balanceVersion: account.balanceVersion + 1,
});

export const entered = (account: AccountState, amount: bigint): AccountState =>
  counted({ ...account, balance: account.balance + amount, entryCount: account.entryCount + 1 });

const unmet = (pointer: string): AppError =>
  conflict('condition-not-met', 'The account is not as the condition says.', placed('condition-not-met', pointer));

export const tooLarge = (): AppError => invalid('balance-too-large', 'The account cannot hold that much.');

const tooMany = (message: string): AppError => conflict('too-many-pending', message);
