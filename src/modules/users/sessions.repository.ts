import { Injectable } from '@nestjs/common';
import { InjectDatabase, type Sql, type Tables } from '../../database/tables.ts';
import { lockRows } from '../../transactions/locks.ts';

type Ending = 'logged_out' | 'token_reused';

@Injectable()
export class SessionsRepository {
  // Sql: Prisma does not delete in an order, nor so many.
  constructor(@InjectDatabase() private readonly db: Tables<'session' | 'refreshToken'> & Sql) {}

  create(session: { id: string; userId: string; expiresAt: Date }, tokenHash: Uint8Array<ArrayBuffer>) {
    return this.db.session.create({ data: { ...session, refreshTokens: { create: { hash: tokenHash } } } });
  }

  findByToken(hash: Uint8Array<ArrayBuffer>) {
    return this.db.refreshToken.findUnique({
      where: { hash },
      select: {
        usedAt: true,
        session: { select: { id: true, userId: true, expiresAt: true, user: { select: { role: true } } } },
      },
    });
  }

  /** Whether this call is the one that used the token: it was unused and its session was going on. */
  async useToken(hash: Uint8Array<ArrayBuffer>, now: Date): Promise<boolean> {
    const used = await this.db.refreshToken.updateMany({
      where: { hash, usedAt: null, session: { endedAt: null, expiresAt: { gt: now } } },
      data: { usedAt: now },
    });
    return used.count === 1;
  }

  async addToken(sessionId: string, hash: Uint8Array<ArrayBuffer>, expiresAt: Date): Promise<void> {
    await this.db.session.update({
      where: { id: sessionId },
      data: { expiresAt, refreshTokens: { create: { hash } } },
    });
  }

  async end(where: { id: string; userId: string }, endReason: Ending, now: Date): Promise<void> {
    await this.db.session.updateMany({ where: { ...where, endedAt: null }, data: { endedAt: now, endReason } });
  }

  /**
   * Removes tokens of sessions that are over, and the sessions that have none left, oldest first; those that somebody holds stay. At most so many
   * rows of each, as a session has as many tokens as it was refreshed. Gives how many of the more.
   */
  async removeEnded(most: number): Promise<number> {
    const over = await this.db.$queryRaw<{ id: string }[]>`
      SELECT id FROM session WHERE LEAST(expires_at, ended_at) <= statement_timestamp() ORDER BY LEAST(expires_at, ended_at) LIMIT ${most}`;
    const { session } = await lockRows(this.db, { session: over.map(({ id }) => id) }, { skipLocked: true });
    const tokens = await this.db.$executeRaw`
      DELETE FROM refresh_token WHERE hash IN (SELECT hash FROM refresh_token WHERE session_id = ANY(${[...session]}::uuid[]) LIMIT ${most})`;
    const sessions = await this.db.$executeRaw`
      DELETE FROM session AS s WHERE id = ANY(${[...session]}::uuid[])
        AND NOT EXISTS (SELECT FROM refresh_token AS t WHERE t.session_id = s.id)`;
    return Math.max(tokens, sessions);
  }
}
