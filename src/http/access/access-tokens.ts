import { createHmac, timingSafeEqual } from 'node:crypto';
import { Inject, Injectable } from '@nestjs/common';
import { LRUCache } from 'lru-cache';
import { z } from 'zod';
import type { Config } from '../../config/config.ts';
import { AuthConfig } from '../../config/slices.ts';
import { idPattern, readId, showId } from '../../kernel/ids.ts';
import type { Principal } from '../../kernel/principal.ts';

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

type Claims = z.output<typeof Claims>;

/** What a token says of who shows it, and from when to when, in seconds. */
interface Read {
  readonly principal: Principal;
  readonly from: number;
  readonly to: number;
}

// A token is shown with each request for a quarter of an hour. Some 10 MB at most.
const mostRemembered = 10_000;

/**
 * Signs and reads access tokens: JWT, HS256, short-lived. On the caller's own thread: through WebCrypto each request would wait in libuv's
 * queue, behind whatever hashes passwords there, for what takes some microseconds.
 */
@Injectable()
export class AccessTokens {
  readonly lifeInSeconds: number;
  private readonly key: Buffer;
  // By the whole token, of those only that were signed here: a forged one finds nothing, and is not kept.
  private readonly remembered = new LRUCache<string, Read>({ max: mostRemembered });

  constructor(@Inject(AuthConfig.KEY) config: Config['auth']) {
    this.key = Buffer.from(config.secret);
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

  /** Null for whatever was not signed here, has another form, or is over. */
  read(token: string, now: Date): Principal | null {
    const read = this.remembered.get(token) ?? this.readAnew(token);
    const at = Math.floor(now.getTime() / 1000);
    if (read === null || (read.from <= at && at < read.to)) return read?.principal ?? null;
    if (at >= read.to) this.remembered.delete(token);
    return null;
  }

  /** The same of a token that may be over: enough to end its session, and for nothing else. */
  readOver(token: string): Principal | null {
    const claims = this.claimsOf(token);
    return claims === null ? null : principalOf(claims);
  }

  private readAnew(token: string): Read | null {
    const claims = this.claimsOf(token);
    if (claims === null) return null;
    const read = { principal: principalOf(claims), from: claims.nbf ?? 0, to: claims.exp };
    this.remembered.set(token, read);
    return read;
  }

  /** What was signed here, whether it is over or not; null for everything else. */
  private claimsOf(token: string): Claims | null {
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

const principalOf = ({ sub, sid, role }: Claims): Principal => ({
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
