import { createHash, createHmac, hkdfSync } from 'node:crypto';
import { Inject, Injectable } from '@nestjs/common';
import type { Config } from '../../config/config.ts';
import { AuthConfig } from '../../config/slices.ts';
import { AccessTokens } from '../../http/access/access-tokens.ts';
import { DeviceMarks } from '../../http/access/device-marks.ts';
import type { Principal } from '../../kernel/principal.ts';

/** Whose tokens are answered. */
export type SignedIn = Principal & { readonly email: string };

/** The only thing of a token that is stored. */
export const hashOf = (token: string): Uint8Array<ArrayBuffer> =>
  new Uint8Array(createHash('sha256').update(token).digest());

/** What a session gives to whoever holds it. */
@Injectable()
export class SessionTokens {
  private readonly successorKey: Buffer;

  constructor(
    private readonly tokens: AccessTokens,
    private readonly marks: DeviceMarks,
    /** How long a session lasts. */
    @Inject(AuthConfig.KEY) readonly lives: Config['auth'],
  ) {
    this.successorKey = Buffer.from(hkdfSync('sha256', lives.secret, '', 'holdfast refresh token 1', 32));
  }

  /** The refresh token that comes of another: derived, so that it can be told again without being kept. */
  successorOf(refreshToken: string): string {
    return createHmac('sha256', this.successorKey).update(refreshToken).digest('base64url');
  }

  /** `now` is the moment of the database: an access token is as old on every instance. */
  answer({ email, ...principal }: SignedIn, refreshToken: string, now: Date) {
    return {
      id: principal.sessionId,
      userId: principal.userId,
      accessToken: this.tokens.sign(principal, now),
      expiresInSeconds: this.tokens.lifeInSeconds,
      refreshToken,
      deviceToken: this.marks.of(email),
    };
  }
}
