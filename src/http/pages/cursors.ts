import { createHmac, hkdfSync, timingSafeEqual } from 'node:crypto';
import { Inject, Injectable, type PipeTransform } from '@nestjs/common';
import type { Config } from '../../config/config.ts';
import { AuthConfig } from '../../config/slices.ts';
import { longestCursor, malformedCursor } from './page.ts';

// Half of SHA-256: nobody guesses 128 bits, and a cursor stays short.
const sealBytes = 16;

/** Seals what a list remembers between two pages (HMAC-SHA256), so that nobody but us can write a cursor. */
@Injectable()
export class Cursors {
  // Its own key, so that no cursor is ever a token or the other way round.
  private readonly key: Buffer;

  constructor(@Inject(AuthConfig.KEY) { secret }: Config['auth']) {
    this.key = Buffer.from(hkdfSync('sha256', secret, '', 'holdfast cursor 1', 32));
  }

  /** The cursor as it crosses the wire. */
  seal(place: string): string {
    return Buffer.concat([this.sealOf(Buffer.from(place)), Buffer.from(place)]).toString('base64url');
  }

  /** What was sealed. Throws malformed-cursor for what was not sealed here, and for another spelling of what was. */
  open(cursor: string): string {
    const bytes = Buffer.from(cursor, 'base64url');
    const [seal, place] = [bytes.subarray(0, sealBytes), bytes.subarray(sealBytes)];
    if (seal.length < sealBytes || bytes.toString('base64url') !== cursor) throw malformedCursor();
    if (!timingSafeEqual(seal, this.sealOf(place))) throw malformedCursor();
    return place.toString();
  }

  private sealOf(place: Uint8Array): Buffer {
    return createHmac('sha256', this.key).update(place).digest().subarray(0, sealBytes);
  }
}

/** Opens the cursor in a query, where there is one; what cannot be one at all is left for the schema to refuse. */
@Injectable()
export class CursorPipe implements PipeTransform {
  constructor(private readonly cursors: Cursors) {}

  transform(query: Readonly<Record<string, unknown>>): object {
    const { cursor } = query;
    if (typeof cursor !== 'string' || cursor.length > longestCursor) return query;
    return { ...query, cursor: this.cursors.open(cursor) };
  }
}
