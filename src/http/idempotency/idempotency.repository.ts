import { Injectable } from '@nestjs/common';
import { Expiring } from '../../retention/expiring.ts';
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

  /**
   * Claims the keys of requests that are done, and stores what came of them, by one statement. Gives the places of those whose key nobody
   * else has now or had before: nothing is stored of the others. Never waits for somebody who has claimed a key.
   */
  async claimWithResponses(requests: readonly EndedRequest[], keepSeconds: number): Promise<ReadonlySet<number>> {
    // In one order for all: a key that another instance is about to store is waited for.
    const places = [...requests.keys()].sort((a, b) => compare(nameOf(requests[a]), nameOf(requests[b])));
    const rows = places.flatMap((place) => requests[place] ?? []);
    const [keyed, responses] = [rows.map(({ request }) => request), rows.map(({ response }) => response)];
    const stored = await this.db.$queryRaw<{ name: string }[]>`
      INSERT INTO idempotency_record AS r (principal_id, route, key, fingerprint, status, headers, body, result, expires_at)
      SELECT n.principal_id, n.route, n.key, n.fingerprint, n.status, n.headers::jsonb, n.body, n.result,
        statement_timestamp() + make_interval(secs => ${keepSeconds})
      FROM unnest(${keyed.map(({ principalId }) => principalId)}::uuid[], ${keyed.map(({ route }) => route)}::text[],
        ${keyed.map(({ key }) => key)}::text[], ${keyed.map(({ fingerprint }) => fingerprint)}::bytea[],
        ${responses.map((one) => one?.status ?? null)}::int[],
        ${responses.map((one) => (one === null ? null : JSON.stringify(one.headers)))}::text[],
        ${responses.map((one) => one?.body ?? null)}::text[], ${rows.map(({ result }) => result)}::bytea[])
        AS n (principal_id, route, key, fingerprint, status, headers, body, result)
      WHERE pg_try_advisory_xact_lock(hashtextextended('idempotency ' || n.principal_id || ' ' || n.route || ' ' || n.key, 0))
      ON CONFLICT (principal_id, route, key) DO UPDATE
      SET fingerprint = excluded.fingerprint, status = excluded.status, headers = excluded.headers, body = excluded.body,
          result = excluded.result, created_at = statement_timestamp(), expires_at = excluded.expires_at
      WHERE r.expires_at <= statement_timestamp()
      RETURNING r.principal_id || ' ' || r.route || ' ' || r.key AS name`;
    const names = new Set(stored.map(({ name }) => name));
    return new Set(places.filter((place) => names.has(nameOf(requests[place]))));
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

  /** Stores the response of a request that has claimed its key. Whether the key is still that request's. */
  async respond(request: KeyedRequest, response: StoredResponse, keepSeconds: number): Promise<boolean> {
    const { principalId, route, key, fingerprint } = request;
    const { status, headers, body } = response;
    // An upsert of what the claim has inserted, as that reads by no predicate, where UPDATE would: see `claim`.
    const stored = await this.db.$executeRaw`INSERT INTO idempotency_record
        (principal_id, route, key, fingerprint, status, headers, body, expires_at)
      VALUES (${principalId}::uuid, ${route}, ${key}, ${fingerprint}, ${status}, ${JSON.stringify(headers)}::jsonb, ${body},
        statement_timestamp() + make_interval(secs => ${keepSeconds}))
      ON CONFLICT (principal_id, route, key) DO UPDATE
      SET status = excluded.status, headers = excluded.headers, body = excluded.body, result = NULL
      WHERE idempotency_record.fingerprint = excluded.fingerprint`;
    return stored === 1;
  }

  /** Stores the result of the boundary of a request whose response is not known yet. Whether the key is still that request's. */
  async keepResult(request: KeyedRequest, result: Uint8Array, keepSeconds: number): Promise<boolean> {
    const { principalId, route, key, fingerprint } = request;
    const stored = await this.db.$executeRaw`INSERT INTO idempotency_record
        (principal_id, route, key, fingerprint, result, expires_at)
      VALUES (${principalId}::uuid, ${route}, ${key}, ${fingerprint}, ${result},
        statement_timestamp() + make_interval(secs => ${keepSeconds}))
      ON CONFLICT (principal_id, route, key) DO UPDATE
      SET status = NULL, headers = NULL, body = NULL, result = excluded.result
      WHERE idempotency_record.fingerprint = excluded.fingerprint`;
    return stored === 1;
  }
}

const nameOf = (one: EndedRequest | undefined): string =>
  one === undefined ? '' : `${one.request.principalId} ${one.request.route} ${one.request.key}`;
const compare = (a: string, b: string): number => Number(a > b) - Number(a < b);
