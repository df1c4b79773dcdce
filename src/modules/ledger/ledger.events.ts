import { z } from 'zod';
import { defineEvent } from '../../events/event-type.ts';
import { idOut, MoneyOut } from '../../http/schemas.ts';
import type { Moved, Movement, Party } from './movement.ts';

const TransferData = z.object({
  transferId: idOut('tr'),
  kind: z.enum(['deposit', 'transfer', 'payment', 'refund', 'reversal']).meta({ description: 'Why the money moves' }),
  fromAccountId: idOut('acct'),
  toAccountId: idOut('acct'),
  amount: MoneyOut,
});

export const transferPosted = defineEvent({
  type: 'transfer.posted',
  meaning: 'Money has moved: at once, or because a pending transfer was posted. `amount` is what was posted.',
  subject: 'tr',
  data: TransferData,
});

export const transferPending = defineEvent({
  type: 'transfer.pending',
  meaning: 'A transfer waits to be posted or voided.',
  subject: 'tr',
  data: TransferData,
});

export const transferVoided = defineEvent({
  type: 'transfer.voided',
  meaning: 'A pending transfer was given back. `amount` is what was pending.',
  subject: 'tr',
  data: TransferData,
});

/** Who may read what happened between two accounts. */
export function readersOf(from: Pick<Party, 'userId'>, to: Pick<Party, 'userId'>) {
  const [owner = null, counterparty = null] = [from.userId, to.userId].filter((id) => id !== null);
  return { owner, counterparty };
}

/** That a movement was written. */
export function movementEvent({ movement, after }: { readonly movement: Movement; readonly after: Moved }) {
  const { id, kind, fromAccountId, toAccountId, amount, expiresAt } = movement;
  const make = expiresAt === null ? transferPosted : transferPending;
  return make({
    subject: id,
    ...readersOf(after.from, after.to),
    data: { transferId: id, kind, fromAccountId, toAccountId, amount },
  });
}
