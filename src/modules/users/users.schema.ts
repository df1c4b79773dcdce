import { z } from 'zod';
import { expandable } from '../../http/expandable.ts';
import { answered, CurrencyCode, idIn, idOut, instant, name, text } from '../../http/wire.ts';
import { canonicalEmail } from '../../kernel/email.ts';

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

const fewest = 8;

// A character is a code point, counted after NFKC, in which a password is hashed.
export const Password = text(200)
  .normalize('NFKC')
  .min(fewest)
  .refine((password) => Array.from(password).length >= fewest, { error: `must have at least ${fewest} characters` })
  .max(200)
  .meta({
    description:
      'At least 8 characters, counted after NFKC. Those that are used most are refused, and what is made of the name or the address',
    examples: ['correct horse battery staple'],
  });

const profile = {
  displayName: name(100).meta({ description: 'How others see the person', examples: ['Ada'] }),
  locale: text(35)
    .nullish()
    .meta({ description: 'Language tag, BCP 47', examples: ['en-GB'] }),
};

export const UserId = idIn('usr');

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

export const UserView = z
  .object({
    object: z.literal('user').default('user'),
    id: idOut('usr'),
    email: z.string().meta({ description: 'In lower case', examples: ['ada@example.com'] }),
    role: z.enum(['customer', 'operator']).meta({ description: 'An operator runs the shop' }),
    profile: z.object(answered(profile)).meta({ description: 'What others see' }),
    accounts: z
      .array(z.object({ id: idOut('acct'), currency: z.string().pipe(CurrencyCode) }))
      .meta({ description: 'At most 100' }),
    disabledAt: instant
      .nullable()
      .meta({ description: 'Since when nobody can log in as this person; null while they can', examples: [null] }),
    version: z.int().meta({ description: 'Counts the changes: the ETag', examples: [1] }),
    createdAt: instant,
    updatedAt: instant,
  })
  .meta({ id: 'User', description: 'A person' });
expandable(UserView, { accounts: 'acct' });
