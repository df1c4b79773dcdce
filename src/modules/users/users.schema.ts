import { z } from 'zod';
import { CurrencyCode, text } from '../../http/schemas.ts';
import { canonicalEmail } from '../../kernel/email.ts';
import { defineIdKinds } from '../../kernel/ids.ts';
import { Password } from './passwords.ts';
import { profile } from './user.ts';

export const userIds = defineIdKinds({ usr: 'user' });
declare module '../../kernel/ids.ts' {
  interface IdKinds extends Readonly<typeof userIds> {}
}

const Email = z
  .string()
  .max(254)
  .meta({ description: 'Kept in lower case and composed (NFC)', examples: ['ada@example.com'] })
  .transform((given, { issues }) => {
    const email = canonicalEmail(given);
    if (email === null)
      issues.push({ code: 'invalid_format', format: 'email', input: given, message: 'must be an e-mail address' });
    return email ?? z.NEVER;
  });

export const NewUser = z
  .strictObject({
    email: Email,
    password: Password,
    profile: z.strictObject(profile).meta({ description: 'What others see' }),
    currency: CurrencyCode.optional().meta({
      description: 'Currency of the first account; without it, that of the shop',
    }),
  })
  .meta({ id: 'NewUser' });
export type NewUser = z.infer<typeof NewUser>;

export const UserPatch = z
  .strictObject({
    email: Email.optional(),
    currentPassword: text(200)
      .optional()
      .meta({
        description: 'The present password: for another e-mail address of one’s own',
        examples: ['correct horse battery staple'],
      }),
    profile: z.strictObject(profile).partial().optional().meta({ description: 'What others see' }),
  })
  .meta({ id: 'UserPatch' });
export type UserPatch = z.infer<typeof UserPatch>;
export type UserEdit = Omit<UserPatch, 'currentPassword'>;
