import { Injectable } from '@nestjs/common';
import { DatabaseClients } from '../../database/database-clients.ts';
import { Expiring } from '../../retention/expiring.ts';
import { InjectDatabase, type Sql } from '../../transactions/tables.ts';

type Bytes = Uint8Array<ArrayBuffer>;

interface NewReset {
  readonly hash: Bytes;
  readonly userId: string;
  readonly createdById: string;
}

/** `open`: it can be used. `used`: within the last seconds, so that who repeats it has lost the answer. */
export interface Reset {
  readonly userId: string;
  readonly email: string;
  readonly displayName: string;
  readonly state: 'open' | 'used' | 'over';
}

// Sql: what has expired is told by the clock of the database.
@Injectable()
@Expiring({ table: 'password_reset', end: 'expires_at' })
export class PasswordResetsRepository {
  constructor(
    @InjectDatabase() private readonly db: Sql,
    private readonly databases: DatabaseClients,
  ) {}

  /** With the person whose password it sets. From the primary, on connections of its own, as everything that lets somebody in. */
  async find(hash: Bytes, repeatSeconds: number): Promise<Reset | null> {
    // eslint-disable-next-line transactions/no-raw-client -- before any boundary, on connections of its own
    const { rows } = await this.databases.lookUps.query<Reset>(
      `SELECT u.id AS "userId", u.email, p.display_name AS "displayName", CASE
         WHEN r.used_at > statement_timestamp() - make_interval(secs => $2) THEN 'used'
         WHEN r.used_at IS NULL AND r.expires_at > statement_timestamp() AND u.disabled_at IS NULL THEN 'open'
         ELSE 'over' END AS state
       FROM password_reset r JOIN "user" u ON u.id = r.user_id JOIN profile p ON p.user_id = u.id WHERE r.hash = $1`,
      [hash, repeatSeconds],
    );
    return rows[0] ?? null;
  }

  /** Gives when it expires. */
  async create({ hash, userId, createdById }: NewReset, seconds: number): Promise<Date> {
    const [made] = await this.db.$queryRaw<[{ expiresAt: Date }]>`
      INSERT INTO password_reset (hash, user_id, created_by_id, created_at, expires_at)
      VALUES (${hash}, ${userId}::uuid, ${createdById}::uuid, statement_timestamp(), statement_timestamp() + make_interval(secs => ${seconds}))
      RETURNING expires_at AS "expiresAt"`;
    return made.expiresAt;
  }

  /** Whether this call is the one that used it. */
  async use(hash: Bytes): Promise<boolean> {
    const used = await this.db.$executeRaw`
      UPDATE password_reset SET used_at = GREATEST(created_at, statement_timestamp()) WHERE hash = ${hash} AND used_at IS NULL AND expires_at > statement_timestamp()`;
    return used === 1;
  }

  /** Those that were not used can no longer be. */
  async withdraw(userId: string): Promise<void> {
    await this.db.$executeRaw`
      UPDATE password_reset SET expires_at = GREATEST(created_at, statement_timestamp()) WHERE user_id = ${userId}::uuid AND used_at IS NULL AND expires_at > statement_timestamp()`;
  }
}
