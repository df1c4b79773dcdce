import { z } from 'zod';
import { expandable } from '../../http/expansion/expandable.ts';
import { pageOf, pageQuery } from '../../http/pages/page.ts';
import { CurrencyCode, idIn, idOut, instant, momentIn, MoneyFromZero, MoneyOut, name } from '../../http/schemas.ts';
import { defineIdKinds } from '../../kernel/ids.ts';
import { AccountView } from './account.ts';

export const accountIds = defineIdKinds({ acct: 'account' });
declare module '../../kernel/ids.ts' {
  interface IdKinds extends Readonly<typeof accountIds> {}
}

export const AccountId = idIn('acct');
const accountName = name(100);

export const NewAccount = z
  .strictObject({
    name: accountName.default('Main').meta({ description: 'What its owner calls it', examples: ['Savings'] }),
    currency: CurrencyCode,
  })
  .meta({ id: 'NewAccount' });
export type NewAccount = z.infer<typeof NewAccount>;

export const AccountPatch = z
  .strictObject({
    name: accountName.optional().meta({ description: 'What its owner calls it', examples: ['Savings'] }),
    overdraftLimit: MoneyFromZero.optional().meta({ description: 'How far below zero it may go; by operators' }),
    maxBalance: MoneyFromZero.nullable()
      .optional()
      .meta({ description: 'What it may hold at most, but for refunds; null takes the limit away; by operators' }),
    frozen: z
      .boolean()
      .optional()
      .meta({ description: 'While it is frozen, nothing is posted from it or to it; by operators', examples: [true] }),
    reason: name(200)
      .optional()
      .meta({ description: 'Kept with the change; needed to freeze', examples: ['Under investigation'] }),
  })
  .refine(({ frozen, reason }) => frozen !== true || reason !== undefined, {
    path: ['reason'],
    error: 'must say why the account is frozen',
  })
  .meta({ id: 'AccountPatch' });
export type AccountPatch = z.infer<typeof AccountPatch>;

export const Closing = z
  .strictObject({
    reason: name(200)
      .nullish()
      .meta({ description: 'Kept with the change', examples: ['Moved away'] }),
  })
  .meta({ id: 'AccountClosing' });
export type Closing = z.infer<typeof Closing>;

export const AsOf = z.strictObject({
  asOf: momentIn
    .optional()
    .meta({ description: 'The posted balance of that moment, RFC 3339', examples: ['2026-11-21T09:30:00.000Z'] }),
});
export type AsOf = z.infer<typeof AsOf>;

export const AccountQuery = z.strictObject(pageQuery);
export type AccountQuery = z.infer<typeof AccountQuery>;
export const AccountPage = pageOf(AccountView).meta({ id: 'AccountPage', description: 'Accounts, oldest first' });

const EntryView = z
  .object({
    object: z.literal('entry').default('entry'),
    accountId: idOut('acct'),
    seq: z.int().meta({ description: 'Counts the entries of the account from 1', examples: [1] }),
    transferId: idOut('tr'),
    amount: MoneyOut.meta({ description: 'Negative where money left the account' }),
    balanceAfter: MoneyOut.meta({ description: 'What it left on the account' }),
    createdAt: instant,
  })
  .meta({ id: 'Entry', description: 'One side of a transfer' });
expandable(EntryView, { transfer: 'tr' });

export const EntryQuery = z.strictObject(pageQuery);
export type EntryQuery = z.infer<typeof EntryQuery>;
export const EntryPage = pageOf(EntryView).meta({ id: 'EntryPage', description: 'Entries, newest first' });

const AccountChangeView = z
  .object({
    object: z.literal('account_change').default('account_change'),
    accountId: idOut('acct'),
    version: z.int().meta({ description: 'The version of the settings that it made', examples: [2] }),
    name: z.string().meta({ description: 'As it was left', examples: ['Savings'] }),
    overdraftLimit: MoneyOut.meta({ description: 'As it was left' }),
    maxBalance: MoneyOut.nullable().meta({ description: 'As it was left; null without a limit' }),
    isFrozen: z.boolean().meta({ description: 'As it was left', examples: [false] }),
    isClosed: z.boolean().meta({ description: 'As it was left', examples: [false] }),
    reason: z
      .string()
      .nullable()
      .meta({ description: 'As it was given', examples: ['Under investigation'] }),
    createdById: idOut('usr').meta({ description: 'Who made the change' }),
    createdAt: instant,
  })
  .meta({ id: 'AccountChange', description: 'The settings of an account as a change has left them' });
expandable(AccountChangeView, { createdBy: 'usr' });

export const ChangeQuery = z.strictObject(pageQuery);
export type ChangeQuery = z.infer<typeof ChangeQuery>;
export const AccountChangePage = pageOf(AccountChangeView).meta({
  id: 'AccountChangePage',
  description: 'Changes of an account, newest first',
});
