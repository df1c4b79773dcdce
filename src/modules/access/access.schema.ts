import { z } from 'zod';
import { pageOf, pageQuery } from '../../http/pages/page.ts';
import { idOut, instant, name } from '../../http/schemas.ts';
import { defineIdKinds } from '../../kernel/ids.ts';
import { nobody } from '../../kernel/principal.ts';
import { changeKinds } from '../users/user.ts';

export const changeIds = defineIdKinds({ chg: 'change' });
declare module '../../kernel/ids.ts' {
  interface IdKinds extends Readonly<typeof changeIds> {}
}

const reason = name(200).meta({ description: 'Kept with the change', examples: ['Left the company'] });

export const AccessPatch = z
  .strictObject({
    role: z.enum(['customer', 'operator']).optional().meta({ description: 'An operator runs the shop' }),
    disabled: z
      .boolean()
      .optional()
      .meta({
        description: 'true ends all sessions and lets nobody log in; false lets them in again',
        examples: [true],
      }),
    reason,
  })
  .meta({ id: 'AccessPatch' });
export type AccessPatch = z.infer<typeof AccessPatch>;

const UserChangeView = z
  .object({
    object: z.literal('user_change').default('user_change'),
    id: idOut('chg'),
    userId: idOut('usr'),
    byId: z
      .uuid()
      .transform((id) => (id === nobody ? null : id))
      .pipe(idOut('usr').nullable())
      .meta({ description: 'Who changed it; null where nobody was signed in: a reset' }),
    kind: z.enum(changeKinds).meta({ description: 'What was changed' }),
    oldValue: z
      .string()
      .nullable()
      .meta({ description: 'Of an address or a role: the one before', examples: ['customer'] }),
    newValue: z
      .string()
      .nullable()
      .meta({ description: 'Of an address or a role: the one since', examples: ['operator'] }),
    reason: z
      .string()
      .nullable()
      .meta({ description: 'As it was given', examples: ['Left the company'] }),
    createdAt: instant,
  })
  .meta({ id: 'UserChange', description: 'A change of what lets a person in' });

export const UserChangeQuery = z.strictObject({ ...pageQuery });
export type UserChangeQuery = z.infer<typeof UserChangeQuery>;
export const UserChangePage = pageOf(UserChangeView).meta({
  id: 'UserChangePage',
  description: 'Changes, newest first',
});
