import { Injectable } from '@nestjs/common';
import type { RecordedEvent } from '../../events/event-type.ts';
import type { Scope } from '../../kernel/principal.ts';
import { InjectDatabase, type ReadSql } from '../../transactions/tables.ts';
import type { FeedQuery } from './events.schema.ts';

/** Events of the reader that one request looks through for those that fit its filter. */
const mostScanned = 1000;

type StoredEvent = Pick<RecordedEvent, 'position' | 'id' | 'type' | 'version' | 'subjectId' | 'data' | 'createdAt'>;

/** A part of the feed. */
export interface FeedSlice {
  readonly events: readonly StoredEvent[];
  /** Whether there may be more by now. */
  readonly hasMore: boolean;
  /** Everything up to here was looked at. */
  readonly through: bigint;
}

/** What those who wait are told of an event. */
export type Herald = Pick<RecordedEvent, 'type' | 'ownerId' | 'counterpartyId'>;

/** How far a statement has come, beside the event that was found; that is null where there is none. */
interface Row extends Omit<StoredEvent, 'position'> {
  readonly position: bigint | null;
  readonly horizon: bigint;
  readonly scanned: number;
  readonly last: bigint | null;
}

@Injectable()
export class FeedRepository {
  // ReadSql: a horizon, two scans that are merged, and what was looked at beside what is shown, in one statement.
  constructor(@InjectDatabase() private readonly db: ReadSql) {}

  /** What stands behind this position, up to the horizon. */
  async list(
    { userId }: Scope,
    { type, subject }: Pick<FeedQuery, 'type' | 'subject'>,
    { after, take }: { readonly after: bigint; readonly take: number },
  ): Promise<FeedSlice> {
    const filter = { types: type ?? null, subject: subject ?? null };
    const most = filter.types === null && filter.subject === null ? take + 1 : mostScanned;
    const bounds = { after, most, take: take + 1 };
    const rows = await (userId === undefined ? this.listAll(filter, bounds) : this.listOwn(userId, filter, bounds));
    return sliceOf(rows, bounds);
  }

  /** One that may be read by now. */
  async find(scope: Scope, id: string): Promise<StoredEvent | null> {
    const userId = scope.userId ?? null;
    const [event] = await this.db.$queryRaw<StoredEvent[]>`
      SELECT e.position, e.id::text, e.type, e.version::int, e.subject_id::text AS "subjectId", e.data, e.created_at AS "createdAt"
      FROM event e, event_horizon h
      WHERE e.id = ${id}::uuid AND e.position <= h.position
        AND (${userId}::uuid IS NULL OR e.owner_id = ${userId}::uuid OR e.counterparty_id = ${userId}::uuid)`;
    return event ?? null;
  }

  /** Up to where events may be read by now. */
  async findHorizon(): Promise<bigint> {
    const [horizon] = await this.db.$queryRaw<{ position: bigint }[]>`SELECT position FROM event_horizon`;
    return horizon?.position ?? 0n;
  }

  /** Whom the events behind this position concern, of so many as are looked through at once: `isWhole` says whether these were all. */
  async listHeralds(after: bigint): Promise<{ heralds: readonly Herald[]; horizon: bigint; isWhole: boolean }> {
    const rows = await this.db.$queryRaw<(Partial<Herald> & { horizon: bigint; scanned: number })[]>`
      WITH behind AS MATERIALIZED (
        SELECT type, owner_id, counterparty_id FROM event
        WHERE position > ${after} AND position <= (SELECT position FROM event_horizon) ORDER BY position LIMIT ${mostScanned})
      SELECT h.position AS horizon, (SELECT count(*)::int FROM behind) AS scanned, b.type, b.owner_id::text AS "ownerId",
        b.counterparty_id::text AS "counterpartyId"
      FROM event_horizon h LEFT JOIN (SELECT DISTINCT type, owner_id, counterparty_id FROM behind) AS b ON true`;
    const [{ horizon, scanned } = { horizon: after, scanned: 0 }] = rows;
    const heralds = rows.flatMap(({ type, ownerId = null, counterpartyId = null }) =>
      type === undefined || type === null ? [] : [{ type, ownerId, counterpartyId }],
    );
    return { heralds, horizon, isWhole: scanned < mostScanned };
  }

  // Each branch reads its index in order and stops; an event has one of its two readers in each.
  private listOwn(userId: string, { types, subject }: Filter, { after, most, take }: Bounds): Promise<Row[]> {
    return this.db.$queryRaw<Row[]>`
      WITH scanned AS MATERIALIZED (
        SELECT * FROM (
          (SELECT position, id, type, version, subject_id, data, created_at FROM event
           WHERE owner_id = ${userId}::uuid AND position > ${after} AND position <= (SELECT position FROM event_horizon)
           ORDER BY position LIMIT ${most})
          UNION ALL
          (SELECT position, id, type, version, subject_id, data, created_at FROM event
           WHERE counterparty_id = ${userId}::uuid AND position > ${after} AND position <= (SELECT position FROM event_horizon)
           ORDER BY position LIMIT ${most})) AS own
        ORDER BY position LIMIT ${most}),
      found AS (
        SELECT * FROM scanned
        WHERE (${types}::text[] IS NULL OR type = ANY (${types}::text[])) AND (${subject}::uuid IS NULL OR subject_id = ${subject}::uuid)
        ORDER BY position LIMIT ${take})
      SELECT f.position, f.id::text, f.type, f.version::int, f.subject_id::text AS "subjectId", f.data, f.created_at AS "createdAt",
        h.position AS horizon, s.count AS scanned, s.last
      FROM event_horizon h, (SELECT count(*)::int AS count, max(position) AS last FROM scanned) AS s
      LEFT JOIN found f ON true ORDER BY f.position`;
  }

  private listAll({ types, subject }: Filter, { after, most, take }: Bounds): Promise<Row[]> {
    return this.db.$queryRaw<Row[]>`
      WITH scanned AS MATERIALIZED (
        SELECT position, id, type, version, subject_id, data, created_at FROM event
        WHERE position > ${after} AND position <= (SELECT position FROM event_horizon)
        ORDER BY position LIMIT ${most}),
      found AS (
        SELECT * FROM scanned
        WHERE (${types}::text[] IS NULL OR type = ANY (${types}::text[])) AND (${subject}::uuid IS NULL OR subject_id = ${subject}::uuid)
        ORDER BY position LIMIT ${take})
      SELECT f.position, f.id::text, f.type, f.version::int, f.subject_id::text AS "subjectId", f.data, f.created_at AS "createdAt",
        h.position AS horizon, s.count AS scanned, s.last
      FROM event_horizon h, (SELECT count(*)::int AS count, max(position) AS last FROM scanned) AS s
      LEFT JOIN found f ON true ORDER BY f.position`;
  }
}

interface Filter {
  readonly types: readonly string[] | null;
  readonly subject: string | null;
}

/** From where on, how many are looked at, and how many are found: one more than are shown. */
interface Bounds {
  readonly after: bigint;
  readonly most: number;
  readonly take: number;
}

function sliceOf(rows: readonly Row[], { after, most, take }: Bounds): FeedSlice {
  const found = rows.flatMap(({ position, ...event }) => (position === null ? [] : [{ ...event, position }]));
  const events = found.slice(0, take - 1);
  if (found.length === take) return { events, hasMore: true, through: events.at(-1)?.position ?? after };
  const [{ horizon, scanned, last } = { horizon: after, scanned: 0, last: null }] = rows;
  if (scanned === most && last !== null) return { events, hasMore: true, through: last };
  // One that was restored from a backup may have been further.
  return { events, hasMore: false, through: horizon > after ? horizon : after };
}
