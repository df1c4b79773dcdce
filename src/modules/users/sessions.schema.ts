import { z } from 'zod';
import { idOut, text } from '../../http/wire.ts';

export const NewSession = z
  .strictObject({
    email: text(254).meta({
      description: 'Of the sign-up; capital letters do not count',
      examples: ['ada@example.com'],
    }),
    password: text(200).meta({ description: 'Of the sign-up', examples: ['correct horse battery staple'] }),
  })
  .meta({ id: 'NewSession' });
export type NewSession = z.infer<typeof NewSession>;

const exampleToken = 'q0X1mS7vT3cZ8bN5kR2wY6uH9dF4gJ0aLpEeIiOoQqU';

export const RefreshRequest = z
  .strictObject({
    refreshToken: text(200).meta({ description: 'The one received last', examples: [exampleToken] }),
  })
  .meta({ id: 'RefreshRequest' });
export type RefreshRequest = z.infer<typeof RefreshRequest>;

export const SessionView = z
  .object({
    object: z.literal('session').default('session'),
    id: idOut('ses'),
    userId: idOut('usr'),
    tokenType: z.literal('Bearer').default('Bearer'),
    accessToken: z.string().meta({
      description: 'For the Authorization header: a JWT',
      examples: ['eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJ1c3JfMDEifQ.c2lnbmF0dXJl'],
    }),
    expiresInSeconds: z.int().meta({ description: 'Life of the access token, in seconds', examples: [900] }),
    refreshToken: z.string().meta({
      description: 'Works once: its use gives the next one. A second use ends the session',
      examples: [exampleToken],
    }),
  })
  .meta({ id: 'Session', description: 'The tokens of a log-in' });
