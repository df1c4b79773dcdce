import { createHmac, createSecretKey, type KeyObject, timingSafeEqual } from 'node:crypto';
import { Inject, Injectable } from '@nestjs/common';
import { z } from 'zod';
import { AuthConfig, type Config } from '../config/config.ts';
import { unauthorized } from '../kernel/errors.ts';
import { idPattern, readId, showId } from '../kernel/ids.ts';
import type { Principal } from '../kernel/principal.ts';

const issuer = 'holdfast';
const header = Buffer.from(JSON.stringify({ alg: 'HS256', typ: 'at+jwt' })).toString('base64url');
// Base64url without padding, as RFC 7515 writes it; Node's own decoder skips what it does not know.
const form = /^([\w-]{1,500})\.([\w-]{1,2000})\.([\w-]{43})$/;

// No other algorithm, and no `crit`: an extension that must be understood is not understood here.
const Header = z.object({ alg: z.literal('HS256'), typ: z.literal('at+jwt'), crit: z.undefined().optional() });
const seconds = z.number().nonnegative();
const Claims = z.object({
  iss: z.literal(issuer),
  sub: z.string().regex(idPattern('usr')).transform(readId),
  sid: z.string().regex(idPattern('ses')).transform(readId),
  role: z.enum(['customer', 'operator']),
  iat: seconds,
  nbf: seconds.optional(),
  exp: seconds,
});

/**
 * Signs and reads access tokens: JWT, HS256, short-lived. On the caller's own thread: through WebCrypto each request would wait in libuv's
 * queue, behind whatever hashes passwords there, for what takes some microseconds.
 */
@Injectable()
export class AccessTokens {
  readonly lifeInSeconds: number;
  private readonly key: KeyObject;

  constructor(@Inject(AuthConfig.KEY) config: Config['auth']) {
    this.key = createSecretKey(config.secret, 'utf8');
    this.lifeInSeconds = config.accessTokenSeconds;
  }

  sign(principal: Principal, now: Date): string {
    const iat = Math.floor(now.getTime() / 1000);
    const claims = {
      sid: showId('ses', principal.sessionId),
      role: principal.role,
      iss: issuer,
      sub: showId('usr', principal.userId),
      iat,
      exp: iat + this.lifeInSeconds,
    };
    const signed = `${header}.${Buffer.from(JSON.stringify(claims)).toString('base64url')}`;
    return `${signed}.${this.signatureOf(signed)}`;
  }

  /** Throws `invalid-token` for whatever was not signed here, has another form, or is over. */
  read(token: string, now: Date): Principal {
    const claims = this.claimsOf(token);
    const at = Math.floor(now.getTime() / 1000);
    if (claims === null || claims.exp <= at || (claims.nbf ?? 0) > at)
      throw unauthorized('invalid-token', 'The access token is not valid or has expired.');
    return principalOf(claims);
  }

  /** The same of a token that may be over: enough to end its session, and for nothing else. Throws `invalid-token`. */
  readOver(token: string): Principal {
    const claims = this.claimsOf(token);
    if (claims === null) throw unauthorized('invalid-token', 'The access token is not valid.');
    return principalOf(claims);
  }

  /** What was signed here, whether it is over or not; null for everything else. */
  private claimsOf(token: string): z.output<typeof Claims> | null {
    const [, head, payload, signature] = form.exec(token) ?? [];
    if (head === undefined || payload === undefined || signature === undefined) return null;
    // As text: two spellings of the last character stand for the same bytes.
    const expected = Buffer.from(this.signatureOf(`${head}.${payload}`));
    if (!timingSafeEqual(expected, Buffer.from(signature))) return null;
    const isOurs = head === header || Header.safeParse(jsonIn(head)).success;
    return isOurs ? (Claims.safeParse(jsonIn(payload)).data ?? null) : null;
  }

  private signatureOf(signed: string): string {
    return createHmac('sha256', this.key).update(signed).digest('base64url');
  }
}

const principalOf = ({ sub, sid, role }: z.output<typeof Claims>): Principal => ({
  userId: sub,
  sessionId: sid,
  role,
});

function jsonIn(part: string): unknown {
  try {
    return JSON.parse(Buffer.from(part, 'base64url').toString());
  } catch {
    return null;
  }
}
