import { Injectable } from '@nestjs/common';
import { InjectDatabase, type Sql } from '../../database/tables.ts';
import { Expiring } from '../../retention/expiring.ts';

type Bytes = Uint8Array<ArrayBuffer>;

interface NewReset {
  readonly hash: Bytes;
  readonly userId: string;
  readonly createdById: string;
}

// Sql: what has expired is told by the clock of the database.
@Injectable()
@Expiring({ table: 'password_reset', end: 'expires_at' })
export class PasswordResetsRepository {
  constructor(@InjectDatabase() private readonly db: Sql) {}

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
