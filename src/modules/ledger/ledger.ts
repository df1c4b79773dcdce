import { largestAmount } from '../../kernel/money.ts';
import { attempt, ProblemError, type ProblemType } from '../../kernel/problem.ts';
import { ledgerProblems } from './ledger.problems.ts';
import {
  type AccountState,
  availableOf,
  type Books,
  canCount,
  canHold,
  type Condition,
  type Foreseen,
  mismatch,
  type Moved,
  type Movement,
  ownAccount,
  pairOf,
  type Parties,
  type Party,
  pointers,
  sees,
  type Side,
  sides,
  type TransferKind,
} from './movement.ts';

// Only this file decides whether a transfer is allowed, over locked accounts: for a single one, a batch and a preview.

/**
 * What comes of one movement. What the caller may know is refused first; only what could be made otherwise asks the account of somebody else,
 * and is refused in one way. Throws `cannot-receive`; to whoever may see the account `account-not-found`, `same-account`, `currency-mismatch`,
 * `account-closed`, `account-frozen`, `condition-not-met`, `insufficient-funds`, `balance-too-large`, `too-many-pending`, `own-account`.
 */
export function decide(books: Books, movement: Movement): Moved {
  const foreseen = foresee(books, movement);
  if (foreseen.to !== null) return { ...foreseen, to: foreseen.to };
  const to = books.accounts.get(movement.toAccountId);
  if (to === undefined || !mayReceive(books.parties, movement) || isFull(books, to, movement))
    throw cannotReceive(pointers[movement.kind]?.to);
  return { ...foreseen, to: received(to, movement) };
}

/** The same for a preview: does not check whether an account of somebody else can receive the money. */
export function foresee(books: Books, movement: Movement): Foreseen {
  refuseSender(books.parties, movement);
  const seen = movement.by.role === 'operator' || isSeen(books, movement);
  if (seen) refuseReceiver(books.parties, movement);
  const from = books.accounts.get(movement.fromAccountId);
  const to = seen ? books.accounts.get(movement.toAccountId) : null;
  if (from === undefined) throw accountNotFound(pointers[movement.kind]?.from);
  if (to === undefined) throw accountNotFound(pointers[movement.kind]?.to);
  refuse(books, { from, to }, movement);
  return { from: sent(from, movement), to: to && received(to, movement) };
}

function isSeen({ parties }: Books, { by, toAccountId }: Movement): boolean {
  const to = parties.get(toAccountId);
  return to !== undefined && sees(by, to);
}

function refuse(books: Books, both: Foreseen, movement: Movement): void {
  refuseShut(both, pointers[movement.kind]);
  refuseConditions(both, movement);
  refuseFunds(both.from, movement.amount.amount);
  refusePending(books, both, movement);
  if (both.to && !hasRoom(both.to, movement)) throw tooLarge();
}

/** Nothing is posted from or to an account that is closed or frozen. Throws account-closed, account-frozen. */
export function refuseShut(both: Foreseen, at?: Partial<Record<Side, string>>): void {
  for (const side of sides) {
    const account = both[side];
    if (account && account.closedAt !== null)
      throw ledgerProblems.accountClosed('The account is closed.', { pointer: at?.[side] });
    if (account && account.frozenAt !== null)
      throw ledgerProblems.accountFrozen('The account is frozen.', { pointer: at?.[side] });
  }
}

function refuseConditions(both: Foreseen, { conditions }: Movement): void {
  for (const side of sides) {
    const [account, condition] = [both[side], conditions[side]];
    if (account && condition) refuseCondition(account, condition, `/conditions/${side}`);
  }
}

function refuseCondition(account: AccountState, condition: Condition, pointer: string): void {
  const { ifVersion, ifAvailableAtLeast: least } = condition;
  if (least && least.currency !== account.currency)
    throw mismatch(account.currency, `${pointer}/ifAvailableAtLeast/currency`);
  if (ifVersion !== undefined && ifVersion !== account.balanceVersion) throw unmet(`${pointer}/ifVersion`);
  if (least && availableOf(account) < least.amount) throw unmet(`${pointer}/ifAvailableAtLeast`);
}

function refuseFunds(from: AccountState, amount: bigint): void {
  // Money enters the house through cash: its balance is what the outside world has paid in, below zero.
  if (from.house !== 'cash' && availableOf(from) < amount)
    throw ledgerProblems.insufficientFunds('The account does not hold that much.');
  if (from.balance - amount < -largestAmount) throw tooLarge();
}

/** A pending transfer needs room when it is posted. A refund never does, because it returns money to the account that paid. */
const hasRoom = (to: AccountState, { kind, expiresAt, amount: { amount } }: Movement): boolean =>
  kind === 'refund' || expiresAt !== null ? canCount(to, amount) : canHold(to, amount);

function refusePending({ pending }: Books, { to }: Foreseen, movement: Movement): void {
  if (pending === null || movement.expiresAt === null) return;
  const { counts, bounds } = pending;
  if ((counts.ofSender.get(movement.by.userId) ?? 0) >= bounds.perSender)
    throw tooMany(`You have ${bounds.perSender} pending transfers.`);
  if ((counts.ofPair.get(pairOf(movement)) ?? 0) >= bounds.perPair)
    throw tooMany(`You have ${bounds.perPair} pending transfers to this account.`);
  if (to && isCrowded(pending, to)) throw tooMany('There are too many pending transfers to this account.');
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

const wanting: ReadonlySet<ProblemType> = new Set([
  ledgerProblems.insufficientFunds,
  ledgerProblems.balanceTooLarge,
  ledgerProblems.conditionNotMet,
  ledgerProblems.cannotReceive,
  ledgerProblems.tooManyPending,
]);

/** Whether the refusal could be due to expired reservations that still count. */
export const wantsRoom = ({ type }: ProblemError): boolean => wanting.has(type);

function sent(from: AccountState, { amount: { amount }, expiresAt }: Movement): AccountState {
  return expiresAt === null
    ? withEntry(from, -amount)
    : withNextVersion({ ...from, pendingOut: from.pendingOut + amount });
}

function received(to: AccountState, { amount: { amount }, expiresAt }: Movement): AccountState {
  return expiresAt === null ? withEntry(to, amount) : withNextVersion({ ...to, pendingIn: to.pendingIn + amount });
}

export const withNextVersion = (account: AccountState): AccountState => ({
  ...account,
  balanceVersion: account.balanceVersion + 1,
});

export const withEntry = (account: AccountState, amount: bigint): AccountState =>
  withNextVersion({ ...account, balance: account.balance + amount, entryCount: account.entryCount + 1 });

const unmet = (pointer: string): ProblemError =>
  ledgerProblems.conditionNotMet('The account is not as the condition says.', { pointer });

export const tooLarge = (): ProblemError => ledgerProblems.balanceTooLarge('The account cannot hold that much.');

const tooMany = (message: string): ProblemError => ledgerProblems.tooManyPending(message);

// By whose the accounts are and by their currencies, which never change: before anything is locked.

type MayStand = (account: Party, movement: Movement) => boolean;
const isOwn: MayStand = (account, { by }) => account.userId === by.userId;

/** Who may stand on either side of a transfer of each kind. */
const standing: Record<TransferKind, Record<Side, MayStand>> = {
  deposit: { from: ({ house }) => house === 'cash', to: ({ house }) => house === null },
  transfer: { from: isOwn, to: ({ house }) => house === null },
  payment: { from: isOwn, to: ({ house }) => house === 'sales' },
  refund: { from: ({ house }) => house === 'sales', to: ({ house }) => house === null },
  // Of a transfer that was made, by somebody who may: that is known before.
  reversal: { from: () => true, to: () => true },
};

/** Refuses what the own accounts do not allow. Throws account-not-found, same-account, currency-mismatch. */
function refuseSender(parties: Parties, movement: Movement): void {
  const from = parties.get(movement.fromAccountId);
  const { kind, amount, toAccountId } = movement;
  if (from === undefined || !standing[kind].from(from, movement)) throw accountNotFound(pointers[kind]?.from);
  if (from.id === toAccountId && kind === 'transfer')
    throw ledgerProblems.sameAccount('Money cannot be moved from an account to itself.');
  if (from.currency !== amount.currency) throw mixed(amount.currency);
  refuseQuestions(parties, movement);
}

// Whoever could ask about any account would know its balance after some questions.
function refuseQuestions(parties: Parties, { conditions, by, ...accounts }: Movement): void {
  const ids = { from: accounts.fromAccountId, to: accounts.toAccountId };
  for (const side of sides) {
    const account = parties.get(ids[side]);
    if (conditions[side] && !(account && sees(by, account))) throw accountNotFound(`/conditions/${side}`);
  }
}

/**
 * Refuses an account that cannot receive it, whatever it holds. Throws `cannot-receive`; to whoever may see the account `account-not-found`,
 * `currency-mismatch`, `own-account`.
 */
function refuseReceiver(parties: Parties, movement: Movement): void {
  const to = parties.get(movement.toAccountId);
  const isSeen = to === undefined ? movement.by.role === 'operator' : sees(movement.by, to);
  const refusal = attempt(() => refuseStanding(to, movement));
  if (refusal instanceof ProblemError) throw isSeen ? refusal : cannotReceive(pointers[movement.kind]?.to);
}

function refuseStanding(to: Party | undefined, movement: Movement): void {
  const { kind, by, amount } = movement;
  if (to === undefined || !standing[kind].to(to, movement)) throw accountNotFound(pointers[kind]?.to);
  if (to.currency !== amount.currency) throw mixed(amount.currency);
  if (kind === 'deposit' && to.userId === by.userId) throw ownAccount();
}

const maySend = (parties: Parties, movement: Movement): boolean =>
  !(attempt(() => refuseSender(parties, movement)) instanceof ProblemError);

/** Whether the account that is named can receive it, whatever it holds. */
const mayReceive = (parties: Parties, movement: Movement): boolean =>
  !(attempt(() => refuseReceiver(parties, movement)) instanceof ProblemError);

/** The accounts that may take part: no other one is locked. */
export function accountsOf(parties: Parties, movement: Movement): string[] {
  if (!maySend(parties, movement)) return [];
  const { fromAccountId, toAccountId } = movement;
  return mayReceive(parties, movement) ? [fromAccountId, toAccountId] : [fromAccountId];
}

const mixed = (currency: string): ProblemError =>
  ledgerProblems.currencyMismatch(`Both accounts must be in ${currency}.`);

export const accountNotFound = (pointer?: string): ProblemError =>
  ledgerProblems.accountNotFound(undefined, { pointer });

/** The one refusal to those who may not see the account: whatever the reason is, it is nobody's business. */
export const cannotReceive = (pointer?: string): ProblemError =>
  ledgerProblems.cannotReceive('The account cannot receive this.', { pointer });
