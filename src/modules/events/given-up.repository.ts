import { Injectable } from '@nestjs/common';
import type { Slice } from '../../http/pages/page.ts';
import { InjectDatabase, type ReadSql } from '../../transactions/tables.ts';

/** An event that a consumer has not done. */
export interface StoredDelivery {
  readonly position: bigint;
  readonly eventId: string;
  readonly type: string;
  readonly consumer: string;
  readonly attempts: number;
  readonly dueAt: Date | null;
  readonly givenUpAt: Date | null;
  readonly lastError: string | null;
  readonly createdAt: Date;
}

/** Where a delivery stands in the list: its position, a blank and its consumer. */
export const keyOfDelivery = ({ position, consumer }: StoredDelivery): string => `${position} ${consumer}`;

@Injectable()
export class GivenUpRepository {
  // ReadSql: no relation leads from a delivery to its event, and what is due at infinity is no moment that Prisma knows.
  constructor(@InjectDatabase() private readonly db: ReadSql) {}

  /** Deliveries of one event, found by the key of each consumer. */
  listOf(position: bigint): Promise<StoredDelivery[]> {
    return this.db.$queryRaw<StoredDelivery[]>`
      SELECT d.position, e.id::text AS "eventId", e.type, d.consumer, d.attempts, nullif(d.due_at, 'infinity') AS "dueAt",
        d.dead_at AS "givenUpAt", d.last_error AS "lastError", d.created_at AS "createdAt"
      FROM event_consumer c JOIN event_delivery d ON d.consumer = c.name AND d.position = ${position} JOIN event e ON e.position = d.position
      ORDER BY d.consumer`;
  }

  /** What was given up, of the newest events first. */
  listGivenUp({ after, take }: Slice<string>): Promise<StoredDelivery[]> {
    const [position = '', consumer = ''] = (after ?? '9223372036854775807 ').split(' ');
    return this.db.$queryRaw<StoredDelivery[]>`
      SELECT d.position, e.id::text AS "eventId", e.type, d.consumer, d.attempts, nullif(d.due_at, 'infinity') AS "dueAt",
        d.dead_at AS "givenUpAt", d.last_error AS "lastError", d.created_at AS "createdAt"
      FROM event_delivery d JOIN event e ON e.position = d.position
      WHERE d.dead_at IS NOT NULL AND (d.position, d.consumer) < (${BigInt(position)}, ${consumer})
      ORDER BY d.position DESC, d.consumer DESC LIMIT ${take}`;
  }
}
