import { z } from 'zod';
import { answered, idIn, idOut, instant, MoneyIn, MoneyOut, text } from '../../http/wire.ts';
import { AccountId, MoneyFromZero } from './accounts.schema.ts';

export const TransferId = idIn('tr');

const note = text(200)
  .nullish()
  .meta({ description: 'For people; not interpreted', examples: ['Lunch'] });

const day = 24 * 60 * 60;

const Condition = z
  .strictObject({
    ifAvailableAtLeast: MoneyFromZero.optional().meta({ description: 'What must be available before the transfer' }),
    ifVersion: z
      .int()
      .min(0)
      .max(2_147_483_647)
      .optional()
      .meta({ description: 'The balanceVersion of the account that was seen', examples: [7] }),
  })
  .meta({ id: 'TransferCondition', description: 'What must be true of an account, or nothing moves' });

export const NewTransfer = z
  .strictObject({
    id: TransferId.refine((id) => id[14] === '7', 'must be made of a UUID of version 7')
      .optional()
      .meta({ description: 'Your own id for it, of a UUIDv7 (RFC 9562): the same one is never stored twice' }),
    type: z.enum(['direct', 'pending']).default('direct').meta({
      description: 'direct: posted at once; pending: reserved until it is posted, voided or expires',
    }),
    expiresInSeconds: z
      .int()
      .min(1)
      .max(30 * day)
      .default(7 * day)
      .meta({ description: 'Life of a pending transfer, in seconds: at most 30 days', examples: [3600] }),
    fromAccountId: AccountId,
    toAccountId: AccountId,
    amount: MoneyIn,
    note,
    conditions: z
      .strictObject({ from: Condition.optional(), to: Condition.optional() })
      .optional()
      .meta({ description: 'On accounts that you may see' }),
  })
  .meta({ id: 'NewTransfer' });
export type NewTransfer = z.infer<typeof NewTransfer>;

export const NewDeposit = z.strictObject({ accountId: AccountId, amount: MoneyIn, note }).meta({ id: 'NewDeposit' });
export type NewDeposit = z.infer<typeof NewDeposit>;

export const TransferView = z
  .object({
    object: z.literal('transfer').default('transfer'),
    id: idOut('tr'),
    kind: z.enum(['deposit', 'transfer', 'payment', 'refund', 'reversal']),
    type: z.enum(['direct', 'pending']),
    status: z.enum(['pending', 'posted', 'voided', 'expired']).meta({ description: 'direct transfers are posted' }),
    fromAccountId: idOut('acct'),
    toAccountId: idOut('acct'),
    amount: MoneyOut,
    postedAmount: MoneyOut.nullable().meta({ description: 'What has moved; null when nothing has' }),
    ...answered({ note }),
    expiresAt: instant.nullable().meta({ description: 'Until when it may be posted; null for a direct one' }),
    settledAt: instant.nullable().meta({ description: 'When a pending one was posted or voided; null otherwise' }),
    reversal: z
      .object({
        reversesId: idOut('tr'),
        seq: z.int().meta({ description: 'Counts the reversals of that transfer from 1' }),
        reversedTotal: MoneyOut.meta({ description: 'What has been reversed of it, this one included' }),
      })
      .nullable()
      .meta({ description: 'What it reverses; null when it is no reversal' }),
    createdAt: instant,
  })
  .meta({ id: 'Transfer', description: 'A movement of money between two accounts' });
