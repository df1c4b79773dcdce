import { createCipheriv, createDecipheriv, createHmac, hkdfSync, randomBytes } from 'node:crypto';
import { Inject, Injectable } from '@nestjs/common';
import type { Config } from '../../config/config.ts';
import { AuthConfig } from '../../config/slices.ts';
import { LoggableError } from '../../kernel/loggable-error.ts';

const prefix = 'whsec_';
const [nonceBytes, tagBytes] = [12, 16];

/** The secret was encrypted under another AUTH_SECRET: its owner gets a new one by rotating it. */
export class UnreadableSecretError extends LoggableError {
  override readonly name = 'UnreadableSecretError';
}

/** Makes the secrets that sign webhooks, and encrypts them at rest (AES-256-GCM), each bound to its endpoint. */
@Injectable()
export class WebhookSecrets {
  // Its own key, so that nothing encrypted here is of use elsewhere.
  private readonly key: Buffer;

  constructor(@Inject(AuthConfig.KEY) { secret }: Config['auth']) {
    this.key = Buffer.from(hkdfSync('sha256', secret, '', 'holdfast webhook secret 1', 32));
  }

  /** A new secret of an endpoint: as its owner is shown it, and as it is stored. */
  make(endpointId: string) {
    const bytes = randomBytes(32);
    return { shown: prefix + bytes.toString('base64'), stored: this.encrypt(endpointId, bytes) };
  }

  /** The bytes that sign. Throws UnreadableSecretError. */
  open(endpointId: string, stored: Uint8Array): Buffer {
    const bytes = Buffer.from(stored);
    const nonce = bytes.subarray(0, nonceBytes);
    const decipher = createDecipheriv('aes-256-gcm', this.key, nonce, { authTagLength: tagBytes });
    decipher.setAAD(Buffer.from(endpointId)).setAuthTag(bytes.subarray(-tagBytes));
    try {
      return Buffer.concat([decipher.update(bytes.subarray(nonceBytes, -tagBytes)), decipher.final()]);
    } catch (cause) {
      throw new UnreadableSecretError('A webhook secret was encrypted under another AUTH_SECRET.', { cause });
    }
  }

  private encrypt(endpointId: string, secret: Uint8Array): Uint8Array<ArrayBuffer> {
    const nonce = randomBytes(nonceBytes);
    const cipher = createCipheriv('aes-256-gcm', this.key, nonce, { authTagLength: tagBytes });
    cipher.setAAD(Buffer.from(endpointId));
    return Uint8Array.from(Buffer.concat([nonce, cipher.update(secret), cipher.final(), cipher.getAuthTag()]));
  }
}

/** A signature of Standard Webhooks, version 1, over the bytes that are sent. */
export function signatureOf(secret: Uint8Array, id: string, seconds: number, body: string): string {
  return `v1,${createHmac('sha256', secret).update(`${id}.${seconds}.${body}`).digest('base64')}`;
}
