import { Injectable } from '@nestjs/common';
import { InjectDatabase, type Sql } from '../../database/tables.ts';
import { MisuseError } from '../../kernel/loggable-error.ts';
import type { Principal } from '../../kernel/principal.ts';
import { lockRows } from '../../transactions/locks.ts';

type Ending = 'logged_out' | 'token_reused';

interface SessionOf {
  readonly id: string;
  readonly userId: string;
}

/** A token's session, with the role that its person has now. */
interface TokenOf extends SessionOf, Pick<Principal, 'role'> {
  readonly isUsed: boolean;
}

@Injectable()
export class SessionsRepository {
  // Sql: Prisma cannot write the time of the database, nor delete in an order.
  constructor(@InjectDatabase() private readonly db: Sql) {}

  /** Gives when it began. It ends so many seconds later unless it is refreshed. */
  async create({ id, userId }: SessionOf, tokenHash: Uint8Array, lifeSeconds: number): Promise<Date> {
    const [made] = await this.db.$queryRaw<{ now: Date }[]>`
      WITH made AS (
        INSERT INTO session (id, user_id, created_at, expires_at)
        VALUES (${id}::uuid, ${userId}::uuid, statement_timestamp(), statement_timestamp() + make_interval(secs => ${lifeSeconds}))
        RETURNING id)
      INSERT INTO refresh_token (hash, session_id, created_at) SELECT ${tokenHash}::bytea, id, statement_timestamp() FROM made
      RETURNING created_at AS now`;
    return written(made).now;
  }

  /** In one statement: the sweeper may remove both rows between two. */
  async findByToken(hash: Uint8Array) {
    const [token] = await this.db.$queryRaw<TokenOf[]>`
      SELECT s.id, s.user_id AS "userId", u.role::text AS role, t.used_at IS NOT NULL AS "isUsed"
      FROM refresh_token t JOIN session s ON s.id = t.session_id JOIN "user" u ON u.id = s.user_id WHERE t.hash = ${hash}`;
    return token ?? null;
  }

  /** Whether this call is the one that used the token: it was unused and its session was going on. */
  async useToken(hash: Uint8Array): Promise<boolean> {
    const used = await this.db.$executeRaw`
      UPDATE refresh_token AS t SET used_at = GREATEST(t.created_at, statement_timestamp()) FROM session AS s
      WHERE t.hash = ${hash} AND t.used_at IS NULL AND s.id = t.session_id AND s.ended_at IS NULL AND s.expires_at > statement_timestamp()`;
    return used === 1;
  }

  /** The next token of a session, which lives so many seconds from now. Gives that moment. */
  async addToken(sessionId: string, hash: Uint8Array, lifeSeconds: number): Promise<Date> {
    const [added] = await this.db.$queryRaw<{ now: Date }[]>`
      WITH kept AS (
        UPDATE session SET expires_at = GREATEST(expires_at, statement_timestamp() + make_interval(secs => ${lifeSeconds}))
        WHERE id = ${sessionId}::uuid RETURNING id)
      INSERT INTO refresh_token (hash, session_id, created_at) SELECT ${hash}::bytea, id, statement_timestamp() FROM kept
      RETURNING created_at AS now`;
    return written(added).now;
  }

  async end({ id, userId }: SessionOf, reason: Ending): Promise<void> {
    await this.db.$executeRaw`
      UPDATE session SET ended_at = GREATEST(created_at, statement_timestamp()), end_reason = ${reason}::session_ending
      WHERE id = ${id}::uuid AND user_id = ${userId}::uuid AND ended_at IS NULL`;
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

function written<Row>(row: Row | undefined): Row {
  if (row === undefined) throw new MisuseError('The session is not there.');
  return row;
}
