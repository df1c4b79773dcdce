import { Injectable } from '@nestjs/common';
import { InjectDatabase, type Tables } from '../../database/tables.ts';

type Ending = 'logged_out' | 'token_reused';

@Injectable()
export class SessionsRepository {
  constructor(@InjectDatabase() private readonly db: Tables<'session' | 'refreshToken'>) {}

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
}
