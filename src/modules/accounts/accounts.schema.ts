import { z } from 'zod';
import { pageOf, pageQuery } from '../../http/page.ts';
import { answered, CurrencyCode, idIn, idOut, instant, MoneyIn, MoneyOut, text } from '../../http/wire.ts';

export const AccountId = idIn('acct');
export const TransferId = idIn('tr');

const note = text(200)
  .nullish()
  .meta({ description: 'For people; not interpreted', examples: ['Lunch'] });

export const NewAccount = z
  .strictObject({
    name: text(100, 1)
      .default('Main')
      .meta({ examples: ['Savings'] }),
    currency: CurrencyCode,
  })
  .meta({ id: 'NewAccount' });
export type NewAccount = z.infer<typeof NewAccount>;

export const AccountView = z
  .object({
    object: z.literal('account').default('account'),
    id: idOut('acct'),
    userId: idOut('usr').nullable().meta({ description: 'The owner; null for an account of the house' }),
    name: z.string(),
    currency: z.string().pipe(CurrencyCode),
    balance: MoneyOut,
    createdAt: instant,
  })
  .meta({ id: 'Account', description: 'Money of one owner in one currency' });

export const AccountQuery = z.strictObject(pageQuery);
export type AccountQuery = z.infer<typeof AccountQuery>;
export const AccountPage = pageOf(AccountView).meta({ id: 'AccountPage', description: 'Accounts, oldest first' });

export const EntryView = z
  .object({
    object: z.literal('entry').default('entry'),
    accountId: idOut('acct'),
    seq: z.int().meta({ description: 'Counts the entries of the account from 1' }),
    transferId: idOut('tr'),
    amount: MoneyOut.meta({ description: 'Negative where money left the account' }),
    balanceAfter: MoneyOut,
    createdAt: instant,
  })
  .meta({ id: 'Entry', description: 'One side of a transfer' });

export const EntryQuery = z.strictObject(pageQuery);
export type EntryQuery = z.infer<typeof EntryQuery>;
export const EntryPage = pageOf(EntryView).meta({ id: 'EntryPage', description: 'Entries, newest first' });

export const NewTransfer = z
  .strictObject({ fromAccountId: AccountId, toAccountId: AccountId, amount: MoneyIn, note })
  .meta({ id: 'NewTransfer' });
export type NewTransfer = z.infer<typeof NewTransfer>;

export const NewDeposit = z.strictObject({ accountId: AccountId, amount: MoneyIn, note }).meta({ id: 'NewDeposit' });
export type NewDeposit = z.infer<typeof NewDeposit>;

export const TransferView = z
  .object({
    object: z.literal('transfer').default('transfer'),
    id: idOut('tr'),
    kind: z.enum(['deposit', 'transfer', 'payment', 'refund']),
    fromAccountId: idOut('acct'),
    toAccountId: idOut('acct'),
    amount: MoneyOut,
    ...answered({ note }),
    createdAt: instant,
  })
  .meta({ id: 'Transfer', description: 'A movement of money between two accounts; it never changes' });
