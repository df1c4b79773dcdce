import { createHmac, hkdfSync } from 'node:crypto';
import type { FastifyRequest } from 'fastify';
import { canonicalEmail } from '../../kernel/email.ts';
import { networkOf } from '../limits/address.ts';

/**
 * Tells those apart who send a key without being signed in: by the e-mail address that the body names, or else by their network. Otherwise a
 * stranger's simple key would be everybody's. A UUID (RFC 9562, version 8) made with a key of the service, so that nothing can be read from it.
 */
export class Strangers {
  private readonly key: Buffer;

  constructor(secret: string) {
    this.key = Buffer.from(hkdfSync('sha256', secret, '', 'holdfast stranger 1', 32));
  }

  idOf({ body, ip }: Pick<FastifyRequest, 'body' | 'ip'>): string {
    const { email } = (body ?? {}) as { email?: unknown };
    const address = typeof email === 'string' ? canonicalEmail(email) : null;
    const bytes = createHmac('sha256', this.key)
      .update(address ?? `network ${networkOf(ip)}`)
      .digest();
    bytes[6] = 0x80 | ((bytes[6] ?? 0) & 0x0f);
    bytes[8] = 0x80 | ((bytes[8] ?? 0) & 0x3f);
    const hex = bytes.toString('hex', 0, 16);
    return [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20)].join('-');
  }
}
