import { Injectable } from '@nestjs/common';
import { newId } from '../../kernel/ids.ts';
import { Expiring } from '../../retention/expiring.ts';
import { InjectDatabase, type Sql } from '../../transactions/tables.ts';
import type { NewMail } from './mail-kind.ts';
import type { LeasedMail } from './mail.ts';

@Injectable()
@Expiring({ table: 'mail', end: 'expires_at' })
export class MailsRepository {
  // Sql: leases by the database's clock, taken and kept under conditions.
  constructor(@InjectDatabase() private readonly db: Sql) {}

  /** Nothing where there is one of the kind for the event already. */
  async create({ kind, userId, eventId, data }: NewMail, keepSeconds: number): Promise<void> {
    await this.db.$executeRaw`
      INSERT INTO mail (id, kind, user_id, event_id, data, due_at, expires_at)
      VALUES (${newId()}::uuid, ${kind}, ${userId}::uuid, ${eventId}::uuid, ${JSON.stringify(data)}::jsonb, statement_timestamp(),
        statement_timestamp() + make_interval(secs => ${keepSeconds}::int))
      ON CONFLICT (event_id, kind) DO NOTHING`;
  }

  /* eslint-disable no-restricted-syntax -- nothing is locked behind a mail, and what is held is passed over */
  /** Takes on at most so many that are due, those first that have been so for longest. */
  take(most: number, leaseMs: number): Promise<LeasedMail[]> {
    return this.db.$queryRaw<LeasedMail[]>`
      WITH due AS MATERIALIZED (
        SELECT id FROM mail WHERE due_at <= statement_timestamp() ORDER BY due_at LIMIT ${most} FOR UPDATE SKIP LOCKED)
      UPDATE mail m SET lease = ${newId()}::uuid, attempts = m.attempts + 1, due_at = statement_timestamp() + ${leaseMs}::int * interval '1 ms'
      FROM due WHERE m.id = due.id
      RETURNING m.id::text, m.lease::text, m.kind, m.user_id::text AS "userId", m.data, m.attempts, m.created_at AS "createdAt"`;
  }
  /* eslint-enable no-restricted-syntax */

  /** Marks it as sent, and drops what it was made from; nothing where somebody else has taken it over. */
  async finish({ id, lease }: LeasedMail): Promise<void> {
    await this.db.$executeRaw`
      UPDATE mail SET lease = NULL, due_at = NULL, sent_at = statement_timestamp(), data = '{}', last_error = NULL
      WHERE id = ${id}::uuid AND lease = ${lease}::uuid`;
  }

  /** Has it tried again after the pause, or gives it up where there is none; nothing where somebody else has taken it over. */
  async fail({ id, lease }: LeasedMail, error: string, pauseMs: number | null): Promise<void> {
    await this.db.$executeRaw`
      UPDATE mail SET lease = NULL, last_error = ${error},
        due_at = CASE WHEN ${pauseMs}::int IS NOT NULL THEN statement_timestamp() + ${pauseMs}::int * interval '1 ms' END,
        dead_at = CASE WHEN ${pauseMs}::int IS NULL THEN statement_timestamp() END
      WHERE id = ${id}::uuid AND lease = ${lease}::uuid`;
  }
}
