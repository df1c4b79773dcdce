import { createHash, randomBytes } from 'node:crypto';
import { Inject, Injectable } from '@nestjs/common';
import { AuthConfig, type Config } from '../../config/config.ts';
import { AccessTokens } from '../../http/access-tokens.ts';
import { canonicalEmail } from '../../kernel/email.ts';
import { unauthorized } from '../../kernel/errors.ts';
import { newId } from '../../kernel/ids.ts';
import type { Principal } from '../../kernel/principal.ts';
import { RemovesExpired } from '../../retention/expiring.ts';
import { allowSeparateWrites } from '../../transactions/unit-of-work.ts';
import { Transactional } from '../../transactions/transactional.ts';
import { checkPassword } from './passwords.ts';
import { SessionsRepository } from './sessions.repository.ts';
import type { NewSession, RefreshRequest } from './sessions.schema.ts';
import { UsersRepository } from './users.repository.ts';

@Injectable()
export class SessionsService {
  constructor(
    private readonly sessions: SessionsRepository,
    private readonly users: UsersRepository,
    private readonly tokens: AccessTokens,
    @Inject(AuthConfig.KEY) private readonly config: Config['auth'],
  ) {}

  /** Throws wrong-credentials, the same for an unknown person and a wrong password. */
  async logIn({ email, password }: NewSession) {
    const user = await this.users.findForLogIn(canonicalEmail(email) ?? '');
    const checked = await checkPassword(user?.passwordHash ?? null, password);
    if (user === null || !checked.isRight)
      throw unauthorized('wrong-credentials', 'The e-mail address or the password is wrong.');
    const { better } = checked;
    if (better !== null)
      await allowSeparateWrites('a better hash of the same password may stay without the session', () =>
        this.users.keepBetter(user.id, user.passwordHash, better),
      );
    const principal: Principal = { userId: user.id, role: user.role, sessionId: newId() };
    const refreshToken = makeToken();
    const session = { id: principal.sessionId, userId: user.id };
    const now = await this.sessions.create(session, hashOf(refreshToken), this.config.refreshTokenSeconds);
    return this.answer(principal, refreshToken, now);
  }

  /** New tokens for a refresh token, once. A second use ends the session, for whoever holds the other copy too. Throws invalid-refresh-token. */
  async refresh({ refreshToken }: RefreshRequest) {
    const next = makeToken();
    const rotated = await this.rotate(refreshToken, next);
    // Thrown out here, after the commit: thrown inside, it would undo the ending of the session.
    if (rotated === null) throw unauthorized('invalid-refresh-token', 'The refresh token is not valid. Log in again.');
    return this.answer(rotated.principal, next, rotated.now);
  }

  /** Marks the token as used and adds the next one; null, and the session ended, when it had been used before. */
  @Transactional()
  async rotate(refreshToken: string, next: string): Promise<{ principal: Principal; now: Date } | null> {
    const hash = hashOf(refreshToken);
    const isFirstUse = await this.sessions.useToken(hash);
    const token = await this.sessions.findByToken(hash);
    if (token === null) return null;
    const { id, userId, role } = token;
    if (!isFirstUse) {
      if (token.isUsed) await this.sessions.end({ id, userId }, 'token_reused');
      return null;
    }
    const now = await this.sessions.addToken(id, hashOf(next), this.config.refreshTokenSeconds);
    return { principal: { userId, sessionId: id, role }, now };
  }

  /** Ends the caller's session: no more refreshing. Doing it twice is the same. */
  async logOut({ sessionId, userId }: Principal): Promise<void> {
    await this.sessions.end({ id: sessionId, userId }, 'logged_out');
  }

  /** Removes sessions that are over, with their tokens: at most so many rows of each. Gives how many of the more. */
  @RemovesExpired({ table: 'session', end: 'LEAST(expires_at, ended_at)' })
  @Transactional({ timeout: '5s', retry: 0 })
  async removeEnded(most: number): Promise<number> {
    return this.sessions.removeEnded(most);
  }

  /** `now` is the moment of the database: an access token is as old on every instance. */
  private answer(principal: Principal, refreshToken: string, now: Date) {
    return {
      id: principal.sessionId,
      userId: principal.userId,
      accessToken: this.tokens.sign(principal, now),
      expiresInSeconds: this.tokens.lifeInSeconds,
      refreshToken,
    };
  }
}

const makeToken = (): string => randomBytes(32).toString('base64url');
const hashOf = (token: string): Uint8Array<ArrayBuffer> => new Uint8Array(createHash('sha256').update(token).digest());
