import { z } from 'zod';
import { idOut, instant, text } from '../../http/schemas.ts';
import { Password } from '../users/passwords.ts';

const exampleToken = 'q0X1mS7vT3cZ8bN5kR2wY6uH9dF4gJ0aLpEeIiOoQqU';

export const PasswordChange = z
  .strictObject({
    currentPassword: text(200).meta({ description: 'The present one', examples: ['correct horse battery staple'] }),
    newPassword: Password,
  })
  .meta({ id: 'PasswordChange' });
export type PasswordChange = z.infer<typeof PasswordChange>;

export const NewPassword = z
  .strictObject({
    token: text(200).meta({ description: 'As it was handed over', examples: [exampleToken] }),
    newPassword: Password,
  })
  .meta({ id: 'NewPassword' });
export type NewPassword = z.infer<typeof NewPassword>;

export const PasswordResetView = z
  .object({
    object: z.literal('password_reset').default('password_reset'),
    userId: idOut('usr'),
    token: z.string().meta({
      description:
        'For POST /v1/password-resets, once. To be handed to the person by a way that is known to lead there',
      examples: [exampleToken],
    }),
    expiresAt: instant,
  })
  .meta({ id: 'PasswordReset', description: 'What sets a new password' });
