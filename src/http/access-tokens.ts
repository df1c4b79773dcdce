import { createSecretKey, type KeyObject } from 'node:crypto';
import { Inject, Injectable } from '@nestjs/common';
import { jwtVerify, SignJWT } from 'jose';
import { z } from 'zod';
import { AuthConfig, type Config } from '../config/config.ts';
import { unauthorized } from '../kernel/errors.ts';
import { idPattern, readId, showId } from '../kernel/ids.ts';
import type { Principal } from '../kernel/principal.ts';

const issuer = 'holdfast';
const algorithm = 'HS256';
const Claims = z.object({
  sub: z.string().regex(idPattern('usr')).transform(readId),
  sid: z.string().regex(idPattern('ses')).transform(readId),
  role: z.enum(['customer', 'operator']),
});

/** Signs and reads access tokens: JWT, HS256, short-lived. They are not looked up, so a log-out ends them only when they expire. */
@Injectable()
export class AccessTokens {
  readonly lifeInSeconds: number;
  private readonly key: KeyObject;

  constructor(@Inject(AuthConfig.KEY) config: Config['auth']) {
    // jose keeps what it makes of a KeyObject; bytes it would import anew for each token.
    this.key = createSecretKey(config.secret, 'utf8');
    this.lifeInSeconds = config.accessTokenSeconds;
  }

  sign(principal: Principal, now: Date): Promise<string> {
    const issuedAt = Math.floor(now.getTime() / 1000);
    return new SignJWT({ sid: showId('ses', principal.sessionId), role: principal.role })
      .setProtectedHeader({ alg: algorithm, typ: 'at+jwt' })
      .setIssuer(issuer)
      .setSubject(showId('usr', principal.userId))
      .setIssuedAt(issuedAt)
      .setExpirationTime(issuedAt + this.lifeInSeconds)
      .sign(this.key);
  }

  /** Throws `invalid-token` for whatever was not signed here, has another form, or is over. */
  async read(token: string, now: Date): Promise<Principal> {
    try {
      const { payload } = await jwtVerify(token, this.key, {
        issuer,
        algorithms: [algorithm],
        typ: 'at+jwt',
        requiredClaims: ['exp', 'iat'],
        currentDate: now,
      });
      const { sub, sid, role } = Claims.parse(payload);
      return { userId: sub, sessionId: sid, role };
    } catch (error) {
      throw unauthorized('invalid-token', 'The access token is not valid or has expired.', { cause: error });
    }
  }
}
