import { createHmac, hkdfSync, timingSafeEqual } from 'node:crypto';
import { Inject, Injectable } from '@nestjs/common';
import type { Config } from '../../config/config.ts';
import { AuthConfig } from '../../config/slices.ts';

/**
 * Marks of devices on which somebody was logged in with an e-mail address. A mark opens nothing: whoever shows it is counted apart from strangers,
 * so that these cannot keep a person from logging in. An HMAC of the address, so nothing of it is stored.
 */
@Injectable()
export class DeviceMarks {
  private readonly key: Buffer;

  constructor(@Inject(AuthConfig.KEY) { secret }: Config['auth']) {
    this.key = Buffer.from(hkdfSync('sha256', secret, '', 'holdfast device mark 1', 32));
  }

  of(email: string): string {
    return createHmac('sha256', this.key).update(email).digest('base64url');
  }

  isOf(mark: unknown, email: string): boolean {
    const expected = Buffer.from(this.of(email));
    const shown = Buffer.from(typeof mark === 'string' ? mark : '');
    return shown.length === expected.length && timingSafeEqual(shown, expected);
  }
}
