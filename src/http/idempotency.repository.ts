import { Injectable } from '@nestjs/common';
import { InjectDatabase, type Sql } from '../database/tables.ts';
import { Expiring } from '../retention/expiring.ts';
import type { OnceOnly, StoredAnswer } from './idempotency.ts';

/** What is known of a key. */
export interface KnownAnswer extends StoredAnswer {
  readonly fingerprint: Uint8Array;
}

@Injectable()
@Expiring({ table: 'idempotency_record', end: 'expires_at' })
export class IdempotencyRepository {
  // Sql: advisory locks, an upsert that takes over what has expired, and a look-up that leaves with the lock.
  constructor(@InjectDatabase() private readonly db: Sql) {}

  /**
   * Keeps everybody else off the key until the boundary ends; false when somebody else has it now. Never waits.
   * Two keys in 2^64 share a lock: one of them is told to come again.
   */
  private async claim({ principalId, route, key }: OnceOnly): Promise<boolean> {
    const name = `idempotency ${principalId} ${route} ${key}`;
    const [row] = await this.db.$queryRaw<[{ free: boolean }]>`
      SELECT pg_try_advisory_xact_lock(hashtextextended(${name}, 0)) AS free`;
    return row.free;
  }

  private async find({ principalId, route, key }: OnceOnly): Promise<KnownAnswer | null> {
    const [record] = await this.db.$queryRaw<KnownAnswer[]>`
      SELECT fingerprint, status, headers, body FROM idempotency_record
      WHERE principal_id = ${principalId}::uuid AND route = ${route} AND key = ${key} AND expires_at > statement_timestamp()`;
    return record ?? null;
  }

  /** In one flight, but two statements: the second sees what was stored by whoever had the key before. */
  async open(once: OnceOnly): Promise<{ isFree: boolean; known: KnownAnswer | null }> {
    const [isFree, known] = await Promise.all([this.claim(once), this.find(once)]);
    return { isFree, known };
  }

  /** Whether the answer is stored; false when one is there already. */
  async store(once: OnceOnly, { status, headers, body }: StoredAnswer, keepSeconds: number): Promise<boolean> {
    const { principalId, route, key, fingerprint } = once;
    const stored = await this.db.$executeRaw`
      INSERT INTO idempotency_record (principal_id, route, key, fingerprint, status, headers, body, created_at, expires_at)
      VALUES (${principalId}::uuid, ${route}, ${key}, ${fingerprint}, ${status}, ${JSON.stringify(headers)}::jsonb, ${body},
              statement_timestamp(), statement_timestamp() + make_interval(secs => ${keepSeconds}))
      ON CONFLICT (principal_id, route, key) DO UPDATE
      SET fingerprint = excluded.fingerprint, status = excluded.status, headers = excluded.headers, body = excluded.body,
          created_at = excluded.created_at, expires_at = excluded.expires_at
      WHERE idempotency_record.expires_at <= statement_timestamp()`;
    return stored === 1;
  }
}
