import { createHmac, hkdfSync } from 'node:crypto';
import type { FastifyRequest } from 'fastify';
import { stringify } from 'safe-stable-stringify';
import { httpProblems } from '../problems/http.problems.ts';
import type { RouteFacts } from '../route-facts.ts';

export const idempotencyKey = 'Idempotency-Key';
/** On an answer that was given before. */
export const idempotentReplayed = 'Idempotent-Replayed';

/** Whether a route demands a key. */
export type KeyNeed = NonNullable<RouteFacts['keyNeed']>;

/** A response as it was sent, kept byte for byte. */
export interface StoredResponse {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  /** Empty where there is none. */
  readonly body: string;
}

/** A request with its Idempotency-Key. */
export interface KeyedRequest {
  /** Of whoever is not signed in: what `strangers.ts` tells them apart by. */
  readonly principalId: string;
  /** `POST /v1/transfers/:id/post` */
  readonly route: string;
  readonly key: string;
  readonly fingerprint: Buffer;
}

// A string of RFC 8941 in quotes, or the same characters without them.
const quoted = /^"((?:[\x20-\x21\x23-\x5b\x5d-\x7e]|\\["\\]){1,255})"$/;
const bare = /^[\x21\x23-\x7e](?:[\x20\x21\x23-\x7e]{0,254})$/;

/** The key that was sent; null when none was, and none is needed. Throws idempotency-key-missing, malformed-idempotency-key. */
export function keyIn({ headers }: FastifyRequest, need: KeyNeed): string | null {
  const text = headers[idempotencyKey.toLowerCase()];
  if (text === undefined) {
    if (need === 'optional') return null;
    throw httpProblems.idempotencyKeyMissing(
      `Send ${idempotencyKey} with a value of your own, best a UUID, and the same one when you repeat the request.`,
    );
  }
  const given = String(text).trim();
  const key = quoted.exec(given)?.[1]?.replaceAll(/\\(["\\])/g, '$1') ?? bare.exec(given)?.[0];
  if (key === undefined)
    throw httpProblems.malformedIdempotencyKey(
      `${idempotencyKey} must be 1 to 255 printable ASCII characters, in quotes or not.`,
    );
  return key;
}

const keyed = new WeakSet<object>();

/** To be called with a request whose key is obeyed. */
export const markKeyed = (request: FastifyRequest): void => void keyed.add(request);

/** Whether the request may be sent again with its key, and is done once all the same. */
export const isKeyed = (request: FastifyRequest): boolean => keyed.has(request);

/** Tells one request from another, with nothing to be read from it: bodies hold passwords. */
export class Fingerprints {
  private readonly secret: Buffer;

  constructor(secret: string) {
    this.secret = Buffer.from(hkdfSync('sha256', secret, '', 'holdfast idempotency fingerprint', 32));
  }

  /** Of where it goes, which version it is meant for, and what it says; the order of members and the space between them are nothing. */
  of({ url, headers, body }: FastifyRequest): Buffer {
    const said = stringify([url, headers['if-match'] ?? null, body ?? null]);
    return createHmac('sha256', this.secret).update(said).digest();
  }
}
