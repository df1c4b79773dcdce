import { Injectable } from '@nestjs/common';
import { newId } from '../kernel/ids.ts';
import type { Failure, Leased, LeasedQueue } from '../queues/leased-queue.ts';
import { type FinalStatement, finalStatement } from '../transactions/participant.ts';
import { InjectDatabase, type Sql } from '../transactions/tables.ts';
import type { RecordedEvent } from './event-type.ts';

/** A delivery as it was taken on. It waits from the moment at which its event was stored. */
export interface LeasedDelivery extends Leased {
  readonly consumer: string;
  readonly position: bigint;
  readonly orderKey: string;
  readonly event: RecordedEvent;
}

/** By whom a delivery is held. */
type Lease = Pick<LeasedDelivery, 'consumer' | 'position' | 'lease'>;

@Injectable()
export class DeliveriesRepository {
  // Sql: leases by the database's clock, taken and kept under conditions.
  constructor(@InjectDatabase() private readonly db: Sql) {}

  /** The deliveries of one consumer. */
  of(consumer: string): LeasedQueue<LeasedDelivery> {
    return {
      take: (most, leaseMs) => this.take(consumer, most, leaseMs),
      done: (deliveries) => this.removing(consumer, deliveries),
      fail: (delivery, failure) => this.fail(delivery, failure),
      release: (delivery) => this.release(delivery),
    };
  }

  /* eslint-disable no-restricted-syntax -- nothing is locked behind a delivery, and what is held is passed over */
  /** Takes on at most so many that are due: of those with one key the first, unless that is given up. */
  private async take(consumer: string, most: number, leaseMs: number): Promise<LeasedDelivery[]> {
    // Of a table without statistics, or with old ones, the planner expects a few rows: it would look up the heads of all that wait, sort them, and
    // take the first. It is to read the index in the order of due_at and stop. A lease that a crash of the server loses was given to nobody.
    await this.db.$queryRaw`
      SELECT set_config('enable_sort', 'off', true), set_config('enable_bitmapscan', 'off', true), set_config('synchronous_commit', 'off', true)`;
    const rows = await this.db.$queryRaw<(Omit<LeasedDelivery, 'event' | 'takenAt'> & RecordedEvent)[]>`
      WITH heads AS MATERIALIZED (
        SELECT d.consumer, d.position FROM event_delivery d
        WHERE d.consumer = ${consumer} AND d.due_at <= statement_timestamp() AND d.position = (
          SELECT min(head.position) FROM event_delivery head
          WHERE head.consumer = d.consumer AND head.order_key = d.order_key AND head.dead_at IS NULL)
        ORDER BY d.due_at LIMIT ${most} FOR UPDATE SKIP LOCKED)
      UPDATE event_delivery d
      SET attempts = d.attempts + 1, lease = ${newId()}::uuid, due_at = statement_timestamp() + ${leaseMs} * interval '1 ms'
      FROM heads h JOIN event e ON e.position = h.position
      WHERE d.consumer = h.consumer AND d.position = h.position
      RETURNING d.consumer, d.order_key::text AS "orderKey", d.attempts, d.lease::text, e.position, e.id::text, e.type, e.version::int,
        e.subject_id::text AS "subjectId", e.owner_id::text AS "ownerId", e.counterparty_id::text AS "counterpartyId", e.data,
        e.created_at AS "createdAt", (extract(epoch FROM statement_timestamp() - e.created_at) * 1000)::float8 AS "waitedMs"`;
    const takenAt = performance.now();
    return rows
      .map(({ consumer: by, orderKey, attempts, lease, waitedMs, ...event }) => {
        const { position } = event;
        return { consumer: by, position, orderKey, attempts, lease, waitedMs, takenAt, event };
      })
      .sort((a, b) => (a.position < b.position ? -1 : 1));
  }
  /* eslint-enable no-restricted-syntax */

  /** Removes these. Missing is the place 0 where one is not held by its lease any more. */
  private removing(consumer: string, deliveries: readonly Lease[]): FinalStatement {
    const positions = deliveries.map(({ position }) => position);
    const leases = deliveries.map(({ lease }) => lease);
    return finalStatement('remove_deliveries')`
      WITH held AS (SELECT * FROM unnest(${positions}::bigint[], ${leases}::uuid[]) AS h(position, lease)),
      removed AS (
        DELETE FROM event_delivery d USING held h
        WHERE d.consumer = ${consumer} AND d.position = h.position AND d.lease = h.lease
        RETURNING 1)
      SELECT refuse_missing(CASE WHEN (SELECT count(*) FROM removed) < ${deliveries.length}::int THEN ARRAY[0] END)`;
  }

  /** Whether it was still held by this lease. What waits behind it is not looked at before it is tried again. */
  private async fail(
    { consumer, position, lease, orderKey }: Lease & Pick<LeasedDelivery, 'orderKey'>,
    failure: Failure,
  ): Promise<boolean> {
    const [row] = await this.db.$queryRaw<{ changed: number }[]>`
      WITH failed AS (
        UPDATE event_delivery
        SET lease = NULL,
          due_at = coalesce(statement_timestamp() + ${failure.againInMs}::int * interval '1 ms', 'infinity'),
          dead_at = CASE WHEN ${failure.againInMs}::int IS NULL THEN statement_timestamp() END, last_error = ${failure.error}
        WHERE consumer = ${consumer} AND position = ${position} AND lease = ${lease}::uuid
        RETURNING due_at),
      behind AS (
        UPDATE event_delivery d SET due_at = f.due_at FROM failed f
        WHERE f.due_at < 'infinity' AND d.consumer = ${consumer} AND d.order_key = ${orderKey}::uuid AND d.position > ${position} AND d.dead_at IS NULL)
      SELECT count(*)::int AS changed FROM failed`;
    return row?.changed === 1;
  }

  /** Lets others take it on at once. */
  private async release({ consumer, position, lease }: Lease): Promise<void> {
    await this.db
      .$executeRaw`UPDATE event_delivery SET due_at = statement_timestamp(), attempts = attempts - 1, lease = NULL
      WHERE consumer = ${consumer} AND position = ${position} AND lease = ${lease}::uuid`;
  }

  /**
   * Has an event delivered again: to the consumers that have given it up or still try, or to this one whether or not it has done it. Gives to which.
   */
  async redeliver(position: bigint, consumer: string | null): Promise<string[]> {
    const rows = await this.db.$queryRaw<{ consumer: string }[]>`
      INSERT INTO event_delivery (consumer, position, order_key, due_at)
      SELECT c.name, e.position, e.subject_id, statement_timestamp() FROM event e, event_consumer c
      WHERE e.position = ${position} AND (c.name = ${consumer} OR ${consumer}::text IS NULL AND EXISTS (
        SELECT FROM event_delivery d WHERE d.consumer = c.name AND d.position = e.position))
      ON CONFLICT (consumer, position) DO UPDATE SET attempts = 0, lease = NULL, due_at = statement_timestamp(), dead_at = NULL
      RETURNING consumer`;
    return rows.map((row) => row.consumer).sort();
  }
}
