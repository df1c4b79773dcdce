import { z } from 'zod';
import { pageOf, pageQuery } from '../../http/pages/page.ts';
import { idIn, idOut, instant, text } from '../../http/schemas.ts';
import { defineIdKinds } from '../../kernel/ids.ts';

export const sessionIds = defineIdKinds({ ses: 'session' });
declare module '../../kernel/ids.ts' {
  interface IdKinds extends Readonly<typeof sessionIds> {}
}

const exampleToken = 'q0X1mS7vT3cZ8bN5kR2wY6uH9dF4gJ0aLpEeIiOoQqU';

export const NewSession = z
  .strictObject({
    email: text(254).meta({
      description: 'Of the sign-up; capital letters do not count',
      // One of the demo people: whoever tries the example on a fresh start is let in.
      examples: ['alice@example.com'],
    }),
    password: text(200).meta({ description: 'Of the sign-up', examples: ['alice-demo'] }),
    deviceToken: text(200)
      .optional()
      .meta({
        description: 'Of an earlier log-in on this device: counts its tries apart from those of strangers',
        examples: [exampleToken],
      }),
  })
  .meta({ id: 'NewSession' });
export type NewSession = z.infer<typeof NewSession>;

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
      description:
        'Works once: its use gives the next one, and again for ten seconds while that was not used. Any other second use ends the session',
      examples: [exampleToken],
    }),
    deviceToken: z.string().meta({
      description: 'To be kept, also when logged out, and sent with the next log-in on this device. It opens nothing',
      examples: [exampleToken],
    }),
  })
  .meta({ id: 'Session', description: 'The tokens of a log-in' });

/** Whatever the body is, whoever shows an access token is logged out. */
export const LogOutRequest = z
  .strictObject({
    refreshToken: text(1000)
      .optional()
      .meta({
        description: 'Ends the session that it belongs to: for whoever has no access token left',
        examples: [exampleToken],
      }),
  })
  .meta({ id: 'LogOutRequest' });
export type LogOutRequest = z.infer<typeof LogOutRequest>;

export const SessionId = idIn('ses');
export const SessionQuery = z.strictObject({ ...pageQuery });
export type SessionQuery = z.infer<typeof SessionQuery>;

const OwnSessionView = z
  .object({
    object: z.literal('own_session').default('own_session'),
    id: idOut('ses'),
    isCurrent: z.boolean().meta({ description: 'Whether it is the one that asks' }),
    createdAt: instant,
    refreshedAt: instant,
    expiresAt: instant,
  })
  .meta({ id: 'OwnSession', description: 'A log-in that is going on' });
export const SessionPage = pageOf(OwnSessionView).meta({ id: 'SessionPage', description: 'Sessions, newest first' });
