import { Injectable } from '@nestjs/common';
import { z } from 'zod';
import { noteSecurityEvent } from '../../http/access/security-events.ts';
import { Standings } from '../../http/access/standings.ts';
import { page } from '../../http/pages/page.ts';
import { generalProblems } from '../../kernel/general.problems.ts';
import type { Principal } from '../../kernel/principal.ts';
import type { Removal, RemovalBatch } from '../../retention/expired-rows.ts';
import { RemovesExpired } from '../../retention/expiring.ts';
import { afterCommit } from '../../transactions/hooks.ts';
import { Transactional } from '../../transactions/transactional.ts';
import { hashOf, SessionTokens, type SignedIn } from './session-tokens.ts';
import { sessionProblems } from './sessions.problems.ts';
import { type Ending, SessionsRepository } from './sessions.repository.ts';
import type { LogOutRequest, RefreshRequest, SessionQuery } from './sessions.schema.ts';

/** How long a refresh token may be repeated by who has lost the answer, or by another tab at the same moment. */
const repeatSeconds = 10;

@Injectable()
export class SessionsService {
  constructor(
    private readonly sessions: SessionsRepository,
    private readonly tokens: SessionTokens,
    private readonly standings: Standings,
  ) {}

  /**
   * New tokens for a refresh token. It works once; for some seconds, and while the token that it gave was not used, it gives that one again: two
   * tabs refresh at the same moment, and answers are lost. Any other second use ends the session, for whoever holds the other copy too. Throws
   * invalid-refresh-token.
   */
  async refresh({ refreshToken }: RefreshRequest) {
    const next = this.tokens.successorOf(refreshToken);
    const rotated = await this.rotate(refreshToken, next);
    // Thrown here, after the commit: inside the boundary it would roll back the end of the session.
    if (rotated === null) throw invalidToken();
    return this.tokens.answer(rotated.principal, next, rotated.now);
  }

  /** Marks the token as used and adds the next one; null when it is no longer good, and the session ended when it had been used before. */
  @Transactional()
  async rotate(refreshToken: string, next: string): Promise<{ principal: SignedIn; now: Date } | null> {
    const hash = hashOf(refreshToken);
    const isFirstUse = await this.sessions.useToken(hash);
    const token = await this.sessions.findToken(hash, hashOf(next), repeatSeconds);
    if (token === null) return null;
    const { sessionId, userId, role, email, isAlive, isUsed, mayBeRepeated, now } = token;
    const rotated = { principal: { sessionId, userId, role, email }, now };
    // The session ended meanwhile: roll back the use of the token.
    if (isFirstUse && !(await this.sessions.addToken(sessionId, hashOf(next), this.tokens.lives))) throw invalidToken();
    if (isFirstUse) return rotated;
    if (isAlive && mayBeRepeated) return rotated;
    if (isUsed && (await this.sessions.end(sessionId, userId, 'token_reused')))
      this.afterwards(userId, () => noteSecurityEvent('refresh-token-reused', { userId, sessionId }));
    return null;
  }

  /** One's sessions that are going on, the newest first. */
  async list({ userId, sessionId }: Principal, query: SessionQuery) {
    const sessions = await page(
      'sessions',
      { ...query, reader: userId },
      z.uuid(),
      (slice) => this.sessions.list(userId, slice),
      ({ id }) => id,
    );
    return { ...sessions, data: sessions.data.map((session) => ({ ...session, isCurrent: session.id === sessionId })) };
  }

  /**
   * Ends the session of the caller, whose access token may be over, and that of a refresh token, whichever of the session. Nothing to be
   * ended is as good. Throws token-missing when neither is shown.
   */
  async logOut(caller: Principal | null, { refreshToken }: LogOutRequest): Promise<void> {
    if (caller === null && refreshToken === undefined)
      throw generalProblems.tokenMissing(
        'Send an access token, also one that has expired, or a refreshToken in the body.',
      );
    const session = caller === null ? null : { id: caller.sessionId, userId: caller.userId };
    const ended = await this.sessions.endBoth(
      session,
      refreshToken === undefined ? null : hashOf(refreshToken),
      'logged_out',
    );
    for (const { id, userId } of ended) {
      this.standings.forget(userId);
      noteSecurityEvent('log-out', { userId, sessionId: id });
    }
  }

  /** Ends one of the caller's sessions. Throws session-not-found when it is not going on. */
  async end({ userId }: Principal, id: string): Promise<void> {
    if (!(await this.sessions.end(id, userId, 'ended'))) throw sessionProblems.notFound('There is no such session.');
    this.standings.forget(userId);
    noteSecurityEvent('log-out', { userId, sessionId: id });
  }

  /** Ends all of the caller's sessions but the present one. */
  async endOthers({ userId, sessionId }: Principal): Promise<void> {
    await this.endAll(userId, 'ended', sessionId);
  }

  /** Ends all sessions of a person but this one; within a boundary, with it. */
  async endAll(userId: string, ending: Ending, but: string | null = null): Promise<void> {
    const count = await this.sessions.endAll(userId, ending, but);
    this.afterwards(userId, () => noteSecurityEvent('sessions-ended', { userId, count }));
  }

  /** Removes sessions that are over, with their tokens: at most so many rows of each. Counts those of which there were more. */
  @RemovesExpired({ table: 'session', end: 'LEAST(expires_at, ended_at)' })
  @Transactional({ timeout: '5s', retry: 0 })
  async removeEnded(batch: RemovalBatch): Promise<Removal> {
    return this.sessions.removeEnded(batch);
  }

  private afterwards(userId: string, note: () => void): void {
    afterCommit(() => {
      this.standings.forget(userId);
      note();
    });
  }
}

const invalidToken = (): Error => sessionProblems.invalidRefreshToken('The refresh token is not valid. Log in again.');
