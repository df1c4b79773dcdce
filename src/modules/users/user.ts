import { z } from 'zod';
import { expandable } from '../../http/expansion/expandable.ts';
import { alwaysPresent, CurrencyCode, idIn, idOut, instant, name, text } from '../../http/schemas.ts';
import type { Principal } from '../../kernel/principal.ts';

// What the modules that decide who gets in share with the users.

export const UserId = idIn('usr');

/** What a password is compared with, and who chooses it. */
export interface Credentials {
  readonly id: string;
  readonly role: Principal['role'];
  readonly email: string;
  readonly displayName: string;
  readonly passwordHash: string;
  readonly isDisabled: boolean;
}

/** Where a person can be written to. */
export interface Contact {
  readonly email: string;
  readonly displayName: string;
  readonly locale: string | null;
  readonly isDisabled: boolean;
}

/** A user whose row is locked. */
export interface LockedUser {
  readonly id: string;
  readonly email: string;
  readonly role: Principal['role'];
  readonly version: number;
  readonly disabledAt: Date | null;
}

/** What of the access is to change; what is not mentioned stays. */
export interface Access {
  readonly role?: Principal['role'] | undefined;
  readonly disabled?: boolean | undefined;
}

export const changeKinds = [
  'email',
  'password',
  'password_reset',
  'password_reset_made',
  'role',
  'disabled',
  'enabled',
  'sessions_ended',
] as const;
export type ChangeKind = (typeof changeKinds)[number];

/** A change of what lets a person in. */
export interface UserChange {
  readonly userId: string;
  /** The nil UUID where nobody was signed in. */
  readonly byId: string;
  readonly kind: ChangeKind;
  readonly oldValue?: string;
  readonly newValue?: string;
  readonly reason?: string;
}

export const profile = {
  displayName: name(100).meta({ description: 'How others see the person', examples: ['Ada'] }),
  locale: text(35)
    .nullish()
    .meta({ description: 'Language tag, BCP 47', examples: ['en-GB'] }),
};

export const UserView = z
  .object({
    object: z.literal('user').default('user'),
    id: idOut('usr'),
    email: z.string().meta({ description: 'In lower case', examples: ['ada@example.com'] }),
    role: z.enum(['customer', 'operator']).meta({ description: 'An operator runs the shop' }),
    profile: z.object(alwaysPresent(profile)).meta({ description: 'What others see' }),
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
