import { type AppError, conflict, invalid, notFound } from '../../kernel/errors.ts';
import { ownAccount, type Party, placed, sees } from './account.ts';
import { type Movement, pointers, type Side, sides, type TransferKind } from './movement.ts';

// What is decided by whose the accounts are and by their currencies, which never change: before anything is locked.

export type Parties = ReadonlyMap<string, Party>;

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

/** Why it may not be, as far as the own accounts say. `account-not-found`, `same-account`, `currency-mismatch`. */
export function refuseSender(parties: Parties, movement: Movement): AppError | null {
  const from = parties.get(movement.fromAccountId);
  const { kind, amount, toAccountId } = movement;
  if (from === undefined || !standing[kind].from(from, movement)) return missing(pointers[kind]?.from);
  if (from.id === toAccountId && kind === 'transfer')
    return invalid('same-account', 'Money cannot be moved from an account to itself.');
  if (from.currency !== amount.currency) return mixed(amount.currency);
  return refuseQuestions(parties, movement);
}

// Whoever could ask about any account would know its balance after some questions.
function refuseQuestions(parties: Parties, { conditions, by, ...accounts }: Movement): AppError | null {
  const ids = { from: accounts.fromAccountId, to: accounts.toAccountId };
  for (const side of sides) {
    const account = parties.get(ids[side]);
    if (conditions[side] && !(account && sees(by, account))) return missing(`/conditions/${side}`);
  }
  return null;
}

/**
 * Why the account that is named cannot receive it, whatever it holds. `cannot-receive`; to whoever may see it `account-not-found`,
 * `currency-mismatch`, `own-account`.
 */
export function refuseReceiver(parties: Parties, movement: Movement): AppError | null {
  const to = parties.get(movement.toAccountId);
  const refusal = refuseStanding(to, movement);
  const isSeen = to === undefined ? movement.by.role === 'operator' : sees(movement.by, to);
  return refusal && !isSeen ? cannotReceive(pointers[movement.kind]?.to) : refusal;
}

function refuseStanding(to: Party | undefined, movement: Movement): AppError | null {
  const { kind, by, amount } = movement;
  if (to === undefined || !standing[kind].to(to, movement)) return missing(pointers[kind]?.to);
  if (to.currency !== amount.currency) return mixed(amount.currency);
  return kind === 'deposit' && to.userId === by.userId ? ownAccount() : null;
}

/** The accounts that may take part: no other one is locked. */
export function accountsOf(parties: Parties, movement: Movement): string[] {
  if (refuseSender(parties, movement)) return [];
  const { fromAccountId, toAccountId } = movement;
  return refuseReceiver(parties, movement) ? [fromAccountId] : [fromAccountId, toAccountId];
}

const mixed = (currency: string): AppError => invalid('currency-mismatch', `Both accounts must be in ${currency}.`);

export const missing = (pointer = ''): AppError =>
  notFound('account-not-found', 'There is no such account.', placed('account-not-found', pointer));

/** The one refusal to those who may not see the account: whatever the reason is, it is nobody's business. */
export const cannotReceive = (pointer = ''): AppError =>
  conflict('cannot-receive', 'The account cannot receive this.', placed('cannot-receive', pointer));
