import { later } from '../../kernel/clock.ts';
import { generalProblems } from '../../kernel/general.problems.ts';
import { newId, timeOfId } from '../../kernel/ids.ts';
import { type Money, money } from '../../kernel/money.ts';
import type { Principal } from '../../kernel/principal.ts';
import type { ProblemError } from '../../kernel/problem.ts';
import type { Booked } from '../ledger/ledger.service.ts';
import { mismatch, type Movement, type TransferKind } from '../ledger/movement.ts';
import { postedOf, statusOf, type StoredTransfer } from '../settlements/settlement.ts';
import { transferProblems } from './transfers.problems.ts';
import type { NewTransfer } from './transfers.schema.ts';

interface Direct {
  readonly from: string;
  readonly to: string;
  readonly amount: Money;
  readonly note?: string | null;
}

/** A movement that is posted at once and has no conditions. */
export const directMovement = (
  kind: TransferKind,
  by: Movement['by'],
  { from, to, amount, note }: Direct,
): Movement => ({
  id: newId(),
  kind,
  fromAccountId: from,
  toAccountId: to,
  amount,
  note: note ?? null,
  expiresAt: null,
  conditions: {},
  reverses: null,
  by,
});

/** The time of a request, and the default lifetime of a pending transfer. */
interface Terms {
  readonly now: Date;
  readonly pendingSeconds: number;
}

// Milliseconds by which the clock of a client may be ahead of ours.
const mostAheadMs = 300_000;

/** Refuses an id whose time is yet to come: lists are sorted by id, and the transfer would stay the newest. Throws validation-failed. */
function refuseFutureId(id: string, now: Date): void {
  if (timeOfId(id).getTime() - now.getTime() <= mostAheadMs) return;
  const place = { pointer: '/id', code: 'invalid-value', detail: 'holds a time that is more than five minutes ahead' };
  throw generalProblems.validationFailed('The input does not have the required form.', { errors: [place] });
}

/** The requested transfer, in the form that the ledger decides and writes. */
export function movementOf(by: Movement['by'], transfer: NewTransfer, { now, pendingSeconds }: Terms): Movement {
  const {
    id,
    type,
    expiresInSeconds = pendingSeconds,
    fromAccountId,
    toAccountId,
    amount,
    note,
    conditions,
  } = transfer;
  if (id !== undefined) refuseFutureId(id, now);
  return {
    ...directMovement('transfer', by, { from: fromAccountId, to: toAccountId, amount, note: note ?? null }),
    ...(id !== undefined && { id }),
    expiresAt: type === 'pending' ? later(now, expiresInSeconds) : null,
    conditions: conditions ?? {},
  };
}

/** A transfer that was written a moment ago. */
export const showBooked = ({ movement, createdAt }: Pick<Booked, 'movement' | 'createdAt'>) => {
  const { amount, reverses, ...rest } = movement;
  const row = {
    ...rest,
    ...amount,
    reversesId: reverses?.id ?? null,
    reversalSeq: reverses?.seq ?? null,
    reversedTotal: reverses?.total ?? null,
    settlement: null,
    createdAt,
  };
  return showTransfer(row, createdAt);
};

interface Shown extends StoredTransfer {
  readonly reversesId: string | null;
  readonly reversalSeq: number | null;
  readonly reversedTotal: bigint | null;
  readonly settlement: (NonNullable<StoredTransfer['settlement']> & { readonly createdAt: Date }) | null;
  readonly createdAt: Date;
}

/** A stored transfer as it is at a moment: amounts with their currency, and what became of it. */
export function showTransfer<T extends Shown>(transfer: T, now: Date) {
  const { currency, reversesId, reversalSeq, reversedTotal, settlement } = transfer;
  const posted = postedOf(transfer);
  return {
    ...transfer,
    type: transfer.expiresAt === null ? ('direct' as const) : ('pending' as const),
    status: statusOf(transfer, now),
    amount: money(transfer.amount, currency),
    postedAmount: posted === null ? null : money(posted, currency),
    settledAt: settlement && settlement.outcome !== 'expired' ? settlement.createdAt : null,
    reversal: reversesId && { reversesId, seq: reversalSeq, reversedTotal: money(reversedTotal ?? 0n, currency) },
  };
}

/** What is left to reverse of a transfer, and the number of the next reversal. */
export interface Reversible {
  readonly remaining: bigint;
  readonly seq: number;
  readonly total: bigint;
}

/** How a transfer may be reversed after the reversals before. Throws not-reversible, not-posted. */
export function reversible(
  transfer: StoredTransfer,
  last: { readonly reversalSeq: number | null; readonly reversedTotal: bigint | null } | null,
  { role }: Pick<Principal, 'role'>,
): Reversible {
  if (transfer.kind !== 'transfer' && !(transfer.kind === 'deposit' && role === 'operator'))
    throw transferProblems.notReversible(`A ${transfer.kind} cannot be reversed.`);
  const posted = postedOf(transfer);
  if (posted === null) throw transferProblems.notPosted('Nothing of the transfer has been posted.');
  const total = last?.reversedTotal ?? 0n;
  return { remaining: posted - total, seq: (last?.reversalSeq ?? 0) + 1, total };
}

/** The amount of the next reversal. Throws exceeds-remaining, currency-mismatch. */
export function reversalAmount({ remaining }: Reversible, currency: string, asked: Money | null): Money {
  if (asked && asked.currency !== currency) throw mismatch(currency, '/amount/currency');
  const amount = asked?.amount ?? remaining;
  if (amount > remaining || amount === 0n)
    throw transferProblems.exceedsRemaining(`Of the transfer ${remaining} minor units are left to reverse.`);
  return { amount, currency };
}

export const transferMissing = (): ProblemError => transferProblems.notFound('There is no such transfer.');

export const existsAlready = (): ProblemError => transferProblems.exists('It exists already.');

export const notYours = (): ProblemError =>
  transferProblems.notFound('There is no such transfer of yours.', { pointer: '/id' });
