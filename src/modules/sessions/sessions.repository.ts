import { Injectable } from '@nestjs/common';
import { DatabaseClients } from '../../database/database-clients.ts';
import { Standings } from '../../http/access/standings.ts';
import type { Slice } from '../../http/pages/page.ts';
import type { Principal } from '../../kernel/principal.ts';
import type { Removal, RemovalBatch } from '../../retention/expired-rows.ts';
import { defineLockableTables } from '../../transactions/lockable-tables.ts';
import { lockRows } from '../../transactions/locks.ts';
import { InjectDatabase, type Sql } from '../../transactions/tables.ts';

export const sessionLocks = defineLockableTables('documents', { session: 'id' });
declare module '../../transactions/lockable-tables.ts' {
  interface LockableTables extends Readonly<typeof sessionLocks> {}
}

export type Ending = 'logged_out' | 'token_reused' | 'ended' | 'password_changed' | 'user_disabled';
type Bytes = Uint8Array<ArrayBuffer>;

/** How long a session lasts, in seconds: without a refresh, and in all. */
export interface SessionLives {
  readonly refreshTokenSeconds: number;
  readonly sessionSeconds: number;
}

/** A session that is going on, as its person sees it. */
export interface OwnSession {
  readonly id: string;
  readonly createdAt: Date;
  readonly refreshedAt: Date;
  readonly expiresAt: Date;
}

/** What is known of a refresh token. */
export interface KnownToken {
  readonly sessionId: string;
  readonly userId: string;
  readonly email: string;
  readonly role: Principal['role'];
  /** Of the session. */
  readonly isAlive: boolean;
  readonly isUsed: boolean;
  /** By the clock of the database. */
  readonly now: Date;
  /** It was used within the last seconds, and the one that came of it was not. */
  readonly mayBeRepeated: boolean;
}

// Sql: what happens to a session is told by the clock of the database, which all instances share, and is one statement each.
@Injectable()
export class SessionsRepository {
  constructor(
    @InjectDatabase() private readonly db: Sql,
    private readonly databases: DatabaseClients,
    standings: Standings,
  ) {
    standings.answerWith((sessionIds) => this.rolesOf(sessionIds));
  }

  /* eslint-disable no-restricted-syntax -- a row behind which nothing is locked, and below rows in the order of lockRows whose ids nobody knows yet */
  /** Gives when it began; null when the person has been disabled, or the password changed, since it was looked at. */
  async create(id: string, user: { id: string; passwordHash: string }, tokenHash: Bytes, lives: SessionLives) {
    const [made] = await this.db.$queryRaw<{ now: Date }[]>`
      WITH person AS (
        SELECT id FROM "user"
        WHERE id = ${user.id}::uuid AND password_hash = ${user.passwordHash} AND disabled_at IS NULL FOR SHARE
      ), made AS (
        INSERT INTO session (id, user_id, created_at, refreshed_at, expires_at)
        SELECT ${id}::uuid, id, statement_timestamp(), statement_timestamp(), statement_timestamp() + make_interval(secs => ${Math.min(lives.refreshTokenSeconds, lives.sessionSeconds)})
        FROM person RETURNING id
      )
      INSERT INTO refresh_token (hash, session_id, created_at) SELECT ${tokenHash}::bytea, id, statement_timestamp() FROM made
      RETURNING created_at AS now`;
    return made?.now ?? null;
  }
  /* eslint-enable no-restricted-syntax */

  /** Whether this call is the one that used the token: it was unused and its session was going on. */
  async useToken(hash: Bytes): Promise<boolean> {
    const used = await this.db.$executeRaw`
      UPDATE refresh_token t SET used_at = GREATEST(t.created_at, statement_timestamp()) FROM session s JOIN "user" u ON u.id = s.user_id
      WHERE t.hash = ${hash} AND t.used_at IS NULL AND s.id = t.session_id AND s.ended_at IS NULL AND s.expires_at > statement_timestamp()
        AND u.disabled_at IS NULL`;
    return used === 1;
  }

  async findToken(hash: Bytes, successor: Bytes, repeatSeconds: number): Promise<KnownToken | null> {
    const [token] = await this.db.$queryRaw<KnownToken[]>`
      SELECT s.id AS "sessionId", s.user_id AS "userId", u.email, u.role::text AS role, t.used_at IS NOT NULL AS "isUsed", statement_timestamp() AS now,
             s.ended_at IS NULL AND s.expires_at > statement_timestamp() AND u.disabled_at IS NULL AS "isAlive",
             coalesce(t.used_at > statement_timestamp() - make_interval(secs => ${repeatSeconds}), false)
               AND EXISTS (SELECT FROM refresh_token n WHERE n.hash = ${successor} AND n.used_at IS NULL) AS "mayBeRepeated"
      FROM refresh_token t JOIN session s ON s.id = t.session_id JOIN "user" u ON u.id = s.user_id WHERE t.hash = ${hash}`;
    return token ?? null;
  }

  /** False when the session has ended meanwhile. */
  async addToken(sessionId: string, hash: Bytes, lives: SessionLives): Promise<boolean> {
    const added = await this.db.$executeRaw`
      WITH kept AS (
        UPDATE session SET refreshed_at = GREATEST(created_at, statement_timestamp()), expires_at = GREATEST(expires_at, least(
          statement_timestamp() + make_interval(secs => ${lives.refreshTokenSeconds}), created_at + make_interval(secs => ${lives.sessionSeconds})))
        WHERE id = ${sessionId}::uuid AND ended_at IS NULL RETURNING id
      )
      INSERT INTO refresh_token (hash, session_id, created_at) SELECT ${hash}::bytea, id, statement_timestamp() FROM kept`;
    return added === 1;
  }

  /** Those that are going on, the newest first. */
  list(userId: string, { after, take }: Slice<string>) {
    return this.db.$queryRaw<OwnSession[]>`
      SELECT id, created_at AS "createdAt", refreshed_at AS "refreshedAt", expires_at AS "expiresAt" FROM session
      WHERE user_id = ${userId}::uuid AND ended_at IS NULL AND expires_at > statement_timestamp()
        AND (${after}::uuid IS NULL OR id < ${after}::uuid) ORDER BY id DESC LIMIT ${take}`;
  }

  async end(id: string, userId: string, ending: Ending): Promise<boolean> {
    const ended = await this.db.$executeRaw`
      UPDATE session SET ended_at = GREATEST(created_at, statement_timestamp()), end_reason = ${ending}::session_ending
      WHERE id = ${id}::uuid AND user_id = ${userId}::uuid AND ended_at IS NULL`;
    return ended === 1;
  }

  /** Ends this session, and that of a refresh token, whichever of it; gives those that were going on. */
  endBoth(session: { id: string; userId: string } | null, hash: Bytes | null, ending: Ending) {
    return this.db.$queryRaw<{ id: string; userId: string }[]>`
      UPDATE session SET ended_at = GREATEST(created_at, statement_timestamp()), end_reason = ${ending}::session_ending
      WHERE ended_at IS NULL AND id IN (
        SELECT own.id FROM session AS own WHERE own.id = ${session?.id ?? null}::uuid AND own.user_id = ${session?.userId ?? null}::uuid
        UNION SELECT session_id FROM refresh_token WHERE hash = ${hash}::bytea)
      RETURNING id, user_id AS "userId"`;
  }

  /* eslint-disable no-restricted-syntax -- see above */
  /** Ends all sessions of a person but this one; gives how many. */
  endAll(userId: string, ending: Ending, but: string | null = null): Promise<number> {
    return this.db.$executeRaw`
      UPDATE session SET ended_at = GREATEST(created_at, statement_timestamp()), end_reason = ${ending}::session_ending WHERE id IN (
        SELECT id FROM session WHERE user_id = ${userId}::uuid AND ended_at IS NULL AND id IS DISTINCT FROM ${but}::uuid
        ORDER BY id FOR NO KEY UPDATE)`;
  }
  /* eslint-enable no-restricted-syntax */

  /**
   * Removes tokens of sessions that are over, and the sessions that have none left, oldest first; those that somebody holds stay. At most so many
   * rows of each, as a session has as many tokens as it was refreshed. Counts those of which there were more.
   */
  async removeEnded({ most, from }: RemovalBatch): Promise<Removal> {
    const over = await this.db.$queryRaw<{ id: string; end: Date }[]>`
      SELECT id, LEAST(expires_at, ended_at) AS "end" FROM session
      WHERE LEAST(expires_at, ended_at) <= statement_timestamp() AND LEAST(expires_at, ended_at) >= coalesce(${from}::timestamptz, '-infinity')
      ORDER BY LEAST(expires_at, ended_at) LIMIT ${most}`;
    const { session } = await lockRows(this.db, { session: over.map(({ id }) => id) }, { skipLocked: true });
    const tokens = await this.db.$executeRaw`
      DELETE FROM refresh_token WHERE ctid = ANY (ARRAY(SELECT ctid FROM refresh_token WHERE session_id = ANY(${[...session]}::uuid[]) LIMIT ${most}))`;
    const removed = await this.db.$queryRaw<{ id: string }[]>`
      DELETE FROM session AS s WHERE id = ANY(${[...session]}::uuid[])
        AND NOT EXISTS (SELECT FROM refresh_token AS t WHERE t.session_id = s.id) RETURNING id`;
    const gone = new Set(removed.map(({ id }) => id));
    const locked = new Set(session);
    // Up to the first that still has tokens.
    const kept = over.find(({ id }) => locked.has(id) && !gone.has(id));
    const through = kept ?? over.findLast(({ id }) => gone.has(id));
    return { removed: Math.max(tokens, removed.length), through: through?.end ?? null };
  }

  /**
   * The roles of the people whose sessions are going on, of these. From the primary, because a replica may not have a revocation yet, and on
   * separate connections, because otherwise nobody could be authenticated while the pool is full.
   */
  private async rolesOf(sessionIds: readonly string[]): Promise<ReadonlyMap<string, Principal['role']>> {
    // eslint-disable-next-line transactions/no-raw-client -- before any boundary, on connections of its own
    const { rows } = await this.databases.lookUps.query<{ id: string; role: Principal['role'] }>(
      `SELECT s.id, u.role FROM session s JOIN "user" u ON u.id = s.user_id
       WHERE s.id = ANY($1::uuid[]) AND s.ended_at IS NULL AND s.expires_at > statement_timestamp() AND u.disabled_at IS NULL`,
      [sessionIds],
    );
    return new Map(rows.map(({ id, role }) => [id, role]));
  }
}
