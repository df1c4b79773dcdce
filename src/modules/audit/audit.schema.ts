import { z } from 'zod';
import { CurrencyCode, idOut, instant } from '../../http/schemas.ts';

const total = (description: string) =>
  z
    .string()
    .regex(/^-?\d+$/)
    .meta({
      description: `${description}, in minor units, as text: a sum may go beyond 2^53 - 1`,
      examples: ['129900'],
    });
const count = (description: string) =>
  z
    .int()
    .min(0)
    .meta({ description, examples: [42] });

const CurrencyTotalsView = z
  .object({
    currency: z.string().pipe(CurrencyCode),
    debits: total('What has left accounts'),
    credits: total('What has arrived on accounts'),
    balances: total('The sum of all balances, of the house too; 0 when all is well').meta({ examples: ['0'] }),
    accountCount: count('Accounts'),
    transferCount: count('Transfers'),
    entryCount: count('Entries'),
    balanced: z.boolean().meta({
      description: 'Debits are credits, balances sum to 0, and the accounts have as many entries as they say',
      examples: [true],
    }),
  })
  .meta({ id: 'CurrencyTotals', description: 'The totals of one currency' });

export const TrialBalanceView = z
  .object({
    object: z.literal('trial_balance').default('trial_balance'),
    asOf: instant.meta({
      description: 'When the snapshot was taken. On a replica it holds what had arrived there by then. RFC 3339, UTC',
    }),
    balanced: z.boolean().meta({ description: 'Whether every currency is', examples: [true] }),
    currencies: z.array(CurrencyTotalsView).meta({ description: 'One line for each currency that has accounts' }),
  })
  .meta({ id: 'TrialBalance', description: 'The totals of the books at one moment' });

export const ChainView = z
  .object({
    object: z.literal('ledger_chain').default('ledger_chain'),
    length: count('Links; one for each sealed transfer, and one for what became of a pending one'),
    head: z
      .string()
      .regex(/^[0-9a-f]{64}$/)
      .meta({
        description:
          'SHA-256 of the newest link, in hexadecimal digits. Note it with the length, outside: `npm run ledger:verify` compares',
        examples: ['9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08'],
      }),
    sealedUpTo: idOut('tr')
      .nullable()
      .meta({ description: 'The transfer of the newest link, made or settled; null while there is none' }),
    sealedAt: instant.nullable().meta({ description: 'When the newest link was made; RFC 3339, UTC' }),
  })
  .meta({ id: 'LedgerChain', description: 'The end of the hash chain over the transfers' });
