/** @servers any */
import { randomBytes } from 'node:crypto';
import { type Config, makeConfig } from '../src/config/config.ts';
import { readEnvironment } from '../src/config/environment.ts';
import { AccessTokens } from '../src/http/access/access-tokens.ts';
import { DeviceMarks } from '../src/http/access/device-marks.ts';
import { Strangers } from '../src/http/access/strangers.ts';
import { newId } from '../src/kernel/ids.ts';
import { SessionTokens } from '../src/modules/sessions/session-tokens.ts';
import { testSecret } from './support/secret.ts';

type Auth = Config['auth'];
const authOf = (secret: string): Auth => {
  const environment = readEnvironment({ DATABASE_WRITE_URL: 'postgresql://app@host/shop', AUTH_SECRET: secret });
  return makeConfig(environment as Parameters<typeof makeConfig>[0]).auth;
};
const ours = authOf(testSecret);
const others = authOf(randomBytes(48).toString('base64'));

const principal = { userId: newId(), sessionId: newId(), role: 'operator' } as const;
const sessionTokens = (auth: Auth) => new SessionTokens(new AccessTokens(auth), new DeviceMarks(auth), auth);

// Whoever could compute one of them without the secret would be let in, or told who somebody is.
const derived: Record<string, (auth: Auth, from: string) => string> = {
  'an access token': (auth) => new AccessTokens(auth).sign(principal, new Date(0)),
  'the refresh token that comes of another': (auth, from) => sessionTokens(auth).successorOf(from),
  'the mark of a device': (auth, from) => new DeviceMarks(auth).of(from),
  'the id of a stranger': (auth, from) => new Strangers(auth.secret).idOf({ body: { email: from }, ip: '192.0.2.1' }),
};

describe('what is derived from the secret of the service', () => {
  it.each(Object.entries(derived))(
    'is the same on every instance, and another one with another secret: %s',
    (_, of) => {
      const from = 'ada@example.com';
      expect(of(ours, from)).toBe(of(authOf(testSecret), from));
      expect(of(ours, from)).not.toBe(of(others, from));
    },
  );

  it('tells nothing of what else is derived from it', () => {
    const all = Object.values(derived).map((of) => of(ours, 'ada@example.com'));
    expect(new Set(all).size).toBe(all.length);
  });
});
