import { z } from 'zod';
import { expandable } from '../../http/expansion/expandable.ts';
import { limited } from '../../http/input/list-lengths.ts';
import { pageOf, pageQuery } from '../../http/pages/page.ts';
import {
  alwaysPresent,
  idIn,
  idOut,
  instant,
  MoneyFromZero,
  MoneyIn,
  MoneyOut,
  prose,
  RefusedPlace,
} from '../../http/schemas.ts';
import { defineIdKinds } from '../../kernel/ids.ts';
import { AccountView } from '../accounts/account.ts';
import { transferProblems } from './transfers.problems.ts';

export const transferIds = defineIdKinds({ tr: 'transfer' });
declare module '../../kernel/ids.ts' {
  interface IdKinds extends Readonly<typeof transferIds> {}
}

export const TransferId = idIn('tr');

const note = prose(200)
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
      .meta({
        description:
          'Your own id for it, of a UUIDv7 (RFC 9562) whose time is at most five minutes ahead: the same one is never stored twice',
      }),
    type: z.enum(['direct', 'pending']).default('direct').meta({
      description: 'direct: posted at once; pending: reserved until it is posted, voided or expires',
    }),
    expiresInSeconds: z
      .int()
      .min(1)
      .max(30 * day)
      .optional()
      .meta({
        description: 'Life of a pending transfer, in seconds: at most 30 days; without it as long as the shop says',
        examples: [3600],
      }),
    fromAccountId: idIn('acct', {
      description: 'The own account that pays',
      examples: ['acct_01h455vb4pex5vsknk084sn02q'],
    }),
    toAccountId: idIn('acct', {
      description: 'Any account of the same currency',
      examples: ['acct_01h455vb4pex5vsknk084sn02r'],
    }),
    amount: MoneyIn,
    note,
    conditions: z
      .strictObject({ from: Condition.optional(), to: Condition.optional() })
      .optional()
      .meta({ description: 'On accounts that you may see' }),
  })
  .meta({ id: 'NewTransfer' });
export type NewTransfer = z.infer<typeof NewTransfer>;

export const NewDeposit = z.strictObject({ accountId: idIn('acct'), amount: MoneyIn, note }).meta({ id: 'NewDeposit' });
export type NewDeposit = z.infer<typeof NewDeposit>;

export const Posting = z
  .strictObject({ amount: MoneyIn.nullish().meta({ description: 'A part of what is pending; without it, all' }) })
  .meta({ id: 'TransferPosting' });
export type Posting = z.infer<typeof Posting>;

export const NewReversal = z
  .strictObject({ amount: MoneyIn.nullish().meta({ description: 'A part; without it, all that is left' }), note })
  .meta({ id: 'NewReversal' });
export type NewReversal = z.infer<typeof NewReversal>;

export const mostTransfers = 1000;
export const batchTooLarge = () => transferProblems.batchTooLarge(`A batch has at most ${mostTransfers} transfers.`);

export const NewTransferBatch = z
  .strictObject({
    mode: z.enum(['atomic', 'partial']).meta({
      description: 'atomic: all of them or none; partial: each that may be made, with an answer for each',
    }),
    transfers: limited(
      z
        .array(NewTransfer)
        .min(1)
        .meta({
          description: `At most ${mostTransfers}, decided in their order, each after those before it`,
          maxItems: mostTransfers,
        }),
      mostTransfers,
      batchTooLarge,
    ),
  })
  .meta({ id: 'NewTransferBatch' });
export type NewTransferBatch = z.infer<typeof NewTransferBatch>;

const status = z.enum(['pending', 'posted', 'voided', 'expired']);
export const NewVoids = z
  .strictObject({
    transferIds: z
      .array(TransferId)
      .min(1)
      .max(mostTransfers)
      .meta({ description: 'Pending transfers from or to your accounts; each is answered by itself' }),
  })
  .meta({ id: 'NewVoids' });
export type NewVoids = z.infer<typeof NewVoids>;

export const TransferQuery = z.strictObject({
  ...pageQuery,
  accountId: idIn('acct').optional(),
  status: status.optional().meta({ description: 'What has become of them' }),
});
export type TransferQuery = z.infer<typeof TransferQuery>;

export const TransferView = z
  .object({
    object: z.literal('transfer').default('transfer'),
    id: idOut('tr'),
    kind: z
      .enum(['deposit', 'transfer', 'payment', 'refund', 'reversal'])
      .meta({ description: 'What it was made for', examples: ['transfer'] }),
    type: z.enum(['direct', 'pending']).meta({ description: 'Whether it was posted at once' }),
    status: status.meta({ description: 'direct transfers are posted', examples: ['posted'] }),
    fromAccountId: idOut('acct').meta({
      description: 'Where money leaves',
      examples: ['acct_01h455vb4pex5vsknk084sn02q'],
    }),
    toAccountId: idOut('acct').meta({ description: 'Where it arrives', examples: ['acct_01h455vb4pex5vsknk084sn02r'] }),
    amount: MoneyOut.meta({ description: 'What it moves, or reserves' }),
    postedAmount: MoneyOut.nullable().meta({ description: 'What has moved; null when nothing has' }),
    ...alwaysPresent({ note }),
    expiresAt: instant
      .nullable()
      .meta({ description: 'Until when it may be posted; null for a direct one', examples: [null] }),
    settledAt: instant
      .nullable()
      .meta({ description: 'When a pending one was posted or voided; null otherwise', examples: [null] }),
    reversal: z
      .object({
        reversesId: idOut('tr'),
        seq: z.int().meta({ description: 'Counts the reversals of that transfer from 1', examples: [1] }),
        reversedTotal: MoneyOut.meta({ description: 'What has been reversed of it, this one included' }),
      })
      .nullable()
      .meta({ description: 'What it reverses; null when it is no reversal', examples: [null] }),
    createdAt: instant,
  })
  .meta({ id: 'Transfer', description: 'A movement of money between two accounts' });
expandable(TransferView, { fromAccount: 'acct', toAccount: 'acct' });

export const TransferPage = pageOf(TransferView).meta({ id: 'TransferPage', description: 'Transfers, newest first' });

export const TransferBatchView = z
  .object({
    object: z.literal('transfer_batch').default('transfer_batch'),
    mode: z.enum(['atomic', 'partial']).meta({ description: 'As it was asked for' }),
    data: z
      .array(
        z.object({
          transfer: TransferView.nullable().meta({ description: 'What was made; null when it was refused' }),
          refusal: z
            .object({
              code: z.string().meta({ description: 'As of the same transfer alone', examples: ['insufficient-funds'] }),
              message: z
                .string()
                .meta({ description: 'For people', examples: ['The account does not hold that much.'] }),
              errors: z.array(RefusedPlace).meta({ description: 'Where in the body it lies' }),
            })
            .nullable()
            .meta({ description: 'Why it was not made; null when it was', examples: [null] }),
        }),
      )
      .meta({ description: 'An answer for each transfer, in their order' }),
  })
  .meta({ id: 'TransferBatch', description: 'What became of each transfer' });

export const TransferPreview = z
  .object({
    object: z.literal('transfer_preview').default('transfer_preview'),
    transfer: TransferView.meta({ description: 'As it would be; its id belongs to nothing' }),
    from: AccountView.nullable().meta({ description: 'As it would be left; null when it is not yours' }),
    to: AccountView.nullable().meta({ description: 'As it would be left; null when it is not yours' }),
  })
  .meta({ id: 'TransferPreview', description: 'What a transfer would do; nothing is stored' });
