import { Injectable } from '@nestjs/common';
import { Expiring } from '../../retention/expiring.ts';
import {
  type FinalStatement,
  finalStatement,
  type FirstStatement,
  firstStatement,
} from '../../transactions/participant.ts';
import { InjectDatabase, type Sql } from '../../transactions/tables.ts';
import type { KeyedRequest, StoredResponse } from './idempotency.ts';

/** What is stored of a key. */
export interface IdempotencyRecord {
  readonly fingerprint: Uint8Array;
  /** Null where the request was done and its response is not stored yet. */
  readonly response: StoredResponse | null;
  /** What its boundary has returned, serialized; null once there is a response. */
  readonly result: Uint8Array | null;
}

/** A request that was done, and what is stored of it: one of both. */
export interface EndedRequest {
  readonly request: KeyedRequest;
  readonly response: StoredResponse | null;
  readonly result: Uint8Array | null;
}

interface Row extends StoredResponse, Pick<IdempotencyRecord, 'fingerprint' | 'result'> {}

@Injectable()
@Expiring({ table: 'idempotency_record', end: 'expires_at' })
export class IdempotencyRepository {
  // Sql: advisory locks, and an upsert that takes over what has expired.
  constructor(@InjectDatabase() private readonly db: Sql) {}

  /**
   * Inserts the record and keeps everybody else off the key until the boundary ends; false when somebody else has it now, or had it
   * before. Never waits. Two keys in 2^64 share a lock: one of them is told to come again.
   *
   * An insert and not a look-up: in a serializable boundary a look-up would be a predicate read, so that all keyed requests were in
   * conflict with each other. One of a record that is not in the boundary's snapshot yet fails as a conflict, and the boundary runs again.
   */
  async claim({ principalId, route, key, fingerprint }: KeyedRequest, keepSeconds: number): Promise<boolean> {
    const name = `idempotency ${principalId} ${route} ${key}`;
    const claimed = await this.db
      .$executeRaw`INSERT INTO idempotency_record (principal_id, route, key, fingerprint, expires_at)
      SELECT ${principalId}::uuid, ${route}, ${key}, ${fingerprint}, statement_timestamp() + make_interval(secs => ${keepSeconds})
      WHERE pg_try_advisory_xact_lock(hashtextextended(${name}, 0))
      ON CONFLICT (principal_id, route, key) DO UPDATE
      SET fingerprint = excluded.fingerprint, status = NULL, headers = NULL, body = NULL, result = NULL,
          created_at = statement_timestamp(), expires_at = excluded.expires_at
      WHERE idempotency_record.expires_at <= statement_timestamp()`;
    return claimed === 1;
  }

  /** The same in front of the first statement of the work, which it refuses where `claim` would be false. */
  claiming({ principalId, route, key, fingerprint }: KeyedRequest, keepSeconds: number): FirstStatement {
    const name = `idempotency ${principalId} ${route} ${key}`;
    return firstStatement('claim_key')`
      WITH claimed AS (
        INSERT INTO idempotency_record (principal_id, route, key, fingerprint, expires_at)
        SELECT ${principalId}::uuid, ${route}, ${key}, ${fingerprint}::bytea,
          statement_timestamp() + make_interval(secs => ${keepSeconds}::double precision)
        WHERE pg_try_advisory_xact_lock(hashtextextended(${name}, 0))
        ON CONFLICT (principal_id, route, key) DO UPDATE
        SET fingerprint = excluded.fingerprint, status = NULL, headers = NULL, body = NULL, result = NULL,
            created_at = statement_timestamp(), expires_at = excluded.expires_at
        WHERE idempotency_record.expires_at <= statement_timestamp()
        RETURNING 1)
      SELECT refuse_missing(CASE WHEN NOT EXISTS (SELECT FROM claimed) THEN ARRAY[0] END)`;
  }

  /**
   * Claims the keys of requests that are done, and stores what came of them. Missing are the places of those whose key somebody else has now or
   * had before. Never waits for somebody who has claimed a key.
   */
  claimingAndStoring(requests: readonly EndedRequest[], keepSeconds: number): FinalStatement {
    // In one order for all: a key that another instance is about to store is waited for.
    const rows = requests
      .map((ended, place) => ({ ...ended, place }))
      .sort((one, other) => compare(nameOf(one.request), nameOf(other.request)));
    const [keyed, responses] = [rows.map(({ request }) => request), rows.map(({ response }) => response)];
    return finalStatement('claim_and_store_keys')`
      WITH ended AS (
        SELECT * FROM unnest(${rows.map(({ place }) => place)}::int[], ${keyed.map(({ principalId }) => principalId)}::uuid[],
          ${keyed.map(({ route }) => route)}::text[], ${keyed.map(({ key }) => key)}::text[],
          ${keyed.map(({ fingerprint }) => fingerprint)}::bytea[], ${responses.map((one) => one?.status ?? null)}::int[],
          ${responses.map((one) => (one === null ? null : JSON.stringify(one.headers)))}::text[],
          ${responses.map((one) => one?.body ?? null)}::text[], ${rows.map(({ result }) => result)}::bytea[])
          AS n (place, principal_id, route, key, fingerprint, status, headers, body, result)),
      stored AS (
        INSERT INTO idempotency_record AS r (principal_id, route, key, fingerprint, status, headers, body, result, expires_at)
        SELECT principal_id, route, key, fingerprint, status, headers::jsonb, body, result,
          statement_timestamp() + make_interval(secs => ${keepSeconds})
        FROM ended
        WHERE pg_try_advisory_xact_lock(hashtextextended('idempotency ' || principal_id || ' ' || route || ' ' || key, 0))
        ON CONFLICT (principal_id, route, key) DO UPDATE
        SET fingerprint = excluded.fingerprint, status = excluded.status, headers = excluded.headers, body = excluded.body,
            result = excluded.result, created_at = statement_timestamp(), expires_at = excluded.expires_at
        WHERE r.expires_at <= statement_timestamp()
        RETURNING r.principal_id, r.route, r.key)
      SELECT refuse_missing(array_agg(e.place) FILTER (WHERE s.key IS NULL))
      FROM ended e LEFT JOIN stored s USING (principal_id, route, key)`;
  }

  async find({ principalId, route, key }: KeyedRequest): Promise<IdempotencyRecord | null> {
    const [row] = await this.db.$queryRaw<Row[]>`
      SELECT fingerprint, status, headers, body, result FROM idempotency_record
      WHERE principal_id = ${principalId}::uuid AND route = ${route} AND key = ${key}
        AND expires_at > statement_timestamp()`;
    if (row === undefined) return null;
    const { fingerprint, status, headers, body, result } = row;
    return { fingerprint, result, response: status === null ? null : { status, headers, body } };
  }

  /** Stores what came of a request that has claimed its key. Missing is the place 0 where the key is not that request's any more. */
  storing({ request, response, result }: EndedRequest, keepSeconds: number): FinalStatement {
    const { principalId, route, key, fingerprint } = request;
    const [status, headers, body] = [response?.status ?? null, response?.headers ?? null, response?.body ?? null];
    // An upsert of what the claim has inserted, as that reads by no predicate, where UPDATE would: see `claim`.
    return finalStatement('store_key')`
      WITH stored AS (
        INSERT INTO idempotency_record (principal_id, route, key, fingerprint, status, headers, body, result, expires_at)
        VALUES (${principalId}::uuid, ${route}, ${key}, ${fingerprint}, ${status}::int, ${headers && JSON.stringify(headers)}::jsonb,
          ${body}, ${result}, statement_timestamp() + make_interval(secs => ${keepSeconds}))
        ON CONFLICT (principal_id, route, key) DO UPDATE
        SET status = excluded.status, headers = excluded.headers, body = excluded.body, result = excluded.result
        WHERE idempotency_record.fingerprint = excluded.fingerprint
        RETURNING 1)
      SELECT refuse_missing(CASE WHEN NOT EXISTS (SELECT FROM stored) THEN ARRAY[0] END)`;
  }
}

const nameOf = ({ principalId, route, key }: KeyedRequest): string => `${principalId} ${route} ${key}`;
const compare = (a: string, b: string): number => Number(a > b) - Number(a < b);
