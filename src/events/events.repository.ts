import { Inject, Injectable } from '@nestjs/common';
import type { Config } from '../config/config.ts';
import { EventsConfig } from '../config/slices.ts';
import type { Removal } from '../retention/expired-rows.ts';
import { type FinalGroup, type FinalStatement, finalStatement } from '../transactions/participant.ts';
import { InjectDatabase, type Sql } from '../transactions/tables.ts';
import type { NewEvent } from './event-type.ts';
import type { Ahead, Horizon } from './horizon.ts';

interface LockedHorizon extends Horizon {
  /** The oldest transaction that had not ended. */
  readonly oldestRunning: bigint;
}

/** A consumer, and which types it is told of. */
export interface Subscription {
  readonly name: string;
  readonly types: readonly string[];
}

/** The same where the types are asked for in each turn. */
export interface Subscriber extends Subscription {
  /** Those that somebody wants by now. */
  readonly wants: ((types: readonly string[]) => Promise<readonly string[]>) | null;
}

/** What became of a consumer in a turn. */
export interface FannedOut {
  readonly consumer: string;
  readonly made: number;
  /** Whether there are more up to the horizon. */
  readonly isBehind: boolean;
}

@Injectable()
export class EventsRepository implements FinalGroup<NewEvent> {
  constructor(
    // Sql: locks that are passed over, snapshots, and statements over many rows.
    @InjectDatabase() private readonly db: Sql,
    @Inject(EventsConfig.KEY) private readonly config: Config['events'],
  ) {}

  finalStatement(events: readonly NewEvent[]): FinalStatement {
    const rows = events.map((one) => ({
      id: one.id,
      type: one.type,
      version: one.version,
      subject_id: one.subjectId,
      owner_id: one.ownerId,
      counterparty_id: one.counterpartyId,
      data: one.data,
    }));
    return finalStatement('record_events')`
      INSERT INTO event (id, type, version, subject_id, owner_id, counterparty_id, data, expires_at)
      SELECT id, type, version, subject_id, owner_id, counterparty_id, data,
        statement_timestamp() + make_interval(secs => ${this.config.keepSeconds}::int)
      FROM json_to_recordset(${JSON.stringify(rows)}::json) AS one(
        id uuid, type text, version smallint, subject_id uuid, owner_id uuid, counterparty_id uuid, data jsonb)`;
  }

  /* eslint-disable no-restricted-syntax -- nothing is locked behind the horizon, and a held one is passed over */
  /**
   * Locks the horizon until the boundary ends; null where another instance is at it. The boundary does not wait for the disk: after a crash of the
   * server that has lost it, the same is done again, of events that were stored before it.
   */
  async lockHorizon(): Promise<LockedHorizon | null> {
    const [horizon] = await this.db.$queryRaw<LockedHorizon[]>`
      SELECT position, watermark, settled_by AS "settledBy",
        pg_snapshot_xmin(pg_current_snapshot())::text::bigint AS "oldestRunning", set_config('synchronous_commit', 'off', true)
      FROM event_horizon FOR UPDATE SKIP LOCKED`;
    return horizon ?? null;
  }
  /* eslint-enable no-restricted-syntax */

  /** What there is behind this position, of so many events at most. */
  async lookAhead(position: bigint, most: number): Promise<Ahead> {
    const [ahead] = await this.db.$queryRaw<Ahead[]>`
      SELECT coalesce(max(position) FILTER (WHERE position - place = ${position}), ${position}) AS contiguous,
        coalesce(max(position), ${position}) AS last, pg_snapshot_xmax(pg_current_snapshot())::text::bigint AS "nextId"
      FROM (
        SELECT position, row_number() OVER (ORDER BY position) AS place
        FROM event WHERE position > ${position} ORDER BY position LIMIT ${most}) AS behind`;
    return ahead ?? { contiguous: position, last: position, nextId: 0n };
  }

  async moveHorizon({ position, watermark, settledBy }: Horizon): Promise<void> {
    await this.db.$executeRaw`
      UPDATE event_horizon SET position = ${position}, watermark = ${watermark}::bigint, settled_by = ${settledBy}::bigint`;
  }

  /** Has new consumers begin at the horizon: what happened before does not concern them. */
  async addConsumers(names: readonly string[]): Promise<void> {
    await this.db.$executeRaw`
      INSERT INTO event_consumer (name, position)
      SELECT name, position FROM unnest(${names}::text[]) AS name, event_horizon
      ON CONFLICT (name) DO NOTHING`;
  }

  /** Makes the deliveries of those consumers up to the horizon, of at most so many events for each. The horizon is locked. */
  fanOut(subscriptions: readonly Subscription[], horizon: bigint, most: number): Promise<FannedOut[]> {
    return this.db.$queryRaw<FannedOut[]>`
      WITH mine AS (
        SELECT c.name, s.types, c.position AS after, least(${horizon}, c.position + ${most}) AS through
        FROM json_to_recordset(${JSON.stringify(subscriptions)}::json) AS s(name text, types text[])
        JOIN event_consumer c ON c.name = s.name WHERE c.position < ${horizon}),
      made AS (
        INSERT INTO event_delivery (consumer, position, order_key, due_at)
        SELECT m.name, e.position, e.subject_id, statement_timestamp()
        FROM mine m JOIN event e ON e.position > m.after AND e.position <= m.through AND e.type = ANY (m.types)
        RETURNING consumer),
      moved AS (UPDATE event_consumer c SET position = m.through FROM mine m WHERE c.name = m.name)
      SELECT m.name AS consumer, (SELECT count(*)::int FROM made WHERE consumer = m.name) AS made, m.through < ${horizon} AS "isBehind"
      FROM mine m`;
  }

  /** Removes at most so many that are over behind this position, with none of these consumers before them. `reached` is the last that was over. */
  async removeExpired(
    consumers: readonly string[],
    { most, after }: { readonly most: number; readonly after: bigint },
  ) {
    const [removal] = await this.db.$queryRaw<(Removal & { readonly reached: bigint | null })[]>`
      WITH next AS MATERIALIZED (
        SELECT ctid AS place, position, expires_at FROM event
        WHERE position > ${after} AND position <= (
          SELECT least(h.position, (SELECT min(c.position) FROM event_consumer c WHERE c.name = ANY (${consumers}::text[]))) FROM event_horizon h)
        ORDER BY position LIMIT ${most}),
      over AS MATERIALIZED (SELECT place, position FROM next WHERE expires_at <= statement_timestamp()),
      gone AS (
        DELETE FROM event e WHERE e.ctid = ANY (ARRAY(
          SELECT place FROM over o WHERE NOT EXISTS (
            SELECT FROM event_consumer c JOIN event_delivery d ON d.consumer = c.name WHERE d.position = o.position)))
        RETURNING e.expires_at)
      SELECT (SELECT count(*)::int FROM gone) AS removed, (SELECT max(expires_at) FROM gone) AS through,
        (SELECT max(position) FROM over) AS reached`;
    return removal ?? { removed: 0, through: null, reached: null };
  }
}
