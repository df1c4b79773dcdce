import { z } from 'zod';
import { idOut, text } from '../../http/wire.ts';

export const NewSession = z
  .strictObject({
    email: text(254).meta({ examples: ['ada@example.com'] }),
    password: text(200).meta({ examples: ['correct horse battery staple'] }),
  })
  .meta({ id: 'NewSession' });
export type NewSession = z.infer<typeof NewSession>;

export const RefreshRequest = z.strictObject({ refreshToken: text(200) }).meta({ id: 'RefreshRequest' });
export type RefreshRequest = z.infer<typeof RefreshRequest>;

export const SessionView = z
  .object({
    object: z.literal('session').default('session'),
    id: idOut('ses'),
    userId: idOut('usr'),
    tokenType: z.literal('Bearer').default('Bearer'),
    accessToken: z.string().meta({ description: 'For the Authorization header' }),
    expiresInSeconds: z.int().meta({ description: 'Life of the access token', examples: [900] }),
    refreshToken: z
      .string()
      .meta({ description: 'Works once: its use gives the next one. A second use ends the session' }),
  })
  .meta({ id: 'Session', description: 'The tokens of a log-in' });
