import { Injectable } from '@nestjs/common';
import type { RecordedEvent } from '../../events/event-type.ts';
import type { Slice } from '../../http/pages/page.ts';
import { newId } from '../../kernel/ids.ts';
import { Expiring } from '../../retention/expiring.ts';
import { lockRows } from '../../transactions/locks.ts';
import { InjectDatabase, type Sql, type Tables } from '../../transactions/tables.ts';
import type { LeasedWebhook, WebhookAttempt } from './webhook-delivery.ts';

/** Endpoints that are looked at for one taking, and of one owner that are sent to at a time. */
const [mostCandidates, mostOfAnOwner] = [1000, 4];
const mostAttemptsKept = 20;
const keepDays = 30;

type DeliveryEnd = 'delivered' | 'dead';

@Injectable()
@Expiring({ table: 'webhook_delivery', end: 'expires_at' })
export class WebhookDeliveriesRepository {
  // Sql: leases by the database's clock, taken and kept under conditions.
  constructor(@InjectDatabase() private readonly db: Tables<'webhookDelivery'> & Sql) {}

  /** Those of the types that an enabled endpoint wants. */
  async listWanted(types: readonly string[]): Promise<string[]> {
    const rows = await this.db.$queryRaw<{ type: string }[]>`
      SELECT asked.type FROM unnest(${types}::text[]) AS asked(type) WHERE EXISTS (
        SELECT FROM webhook_endpoint e WHERE e.enabled AND (cardinality(e.types) = 0 OR asked.type = ANY (e.types)))`;
    return rows.map(({ type }) => type);
  }

  /** The enabled endpoints that want the event, of people who may read it. */
  async listWanting({ type, ownerId, counterpartyId }: RecordedEvent): Promise<string[]> {
    const rows = await this.db.$queryRaw<{ id: string }[]>`
      SELECT e.id::text FROM webhook_endpoint e JOIN "user" u ON u.id = e.user_id
      WHERE (e.user_id IN (${ownerId}::uuid, ${counterpartyId}::uuid) OR e.is_of_operator AND u.role = 'operator')
        AND e.enabled AND u.disabled_at IS NULL AND (cardinality(e.types) = 0 OR ${type} = ANY (e.types))`;
    return rows.map(({ id }) => id);
  }

  /** Adds the event to the queues that there still are. Nothing where it was added before. */
  async add(endpointIds: readonly string[], { position, id, type }: RecordedEvent, body: string): Promise<void> {
    const { webhook_queue: there } = await lockRows(this.db, { webhook_queue: endpointIds });
    const [ids, endpoints] = [[...there].map(() => newId()), [...there]];
    await this.db.$executeRaw`
      WITH made AS (
        INSERT INTO webhook_delivery (id, endpoint_id, position, event_id, type, body, expires_at)
        SELECT one.id, one.endpoint_id, ${position}::bigint, ${id}::uuid, ${type}::text, ${body}::text, statement_timestamp() + make_interval(days => ${keepDays}::int)
        FROM unnest(${ids}::uuid[], ${endpoints}::uuid[]) AS one(id, endpoint_id)
        ON CONFLICT (endpoint_id, position) DO NOTHING RETURNING endpoint_id)
      UPDATE webhook_queue q SET due_at = coalesce(q.due_at, statement_timestamp()) FROM made m WHERE q.endpoint_id = m.endpoint_id`;
  }

  /* eslint-disable no-restricted-syntax -- nothing is locked behind a queue, and what is held is passed over */
  /** Takes on the next delivery of at most so many endpoints that are due: of each owner a few at a time, the first of each owner first. */
  take(most: number, leaseMs: number): Promise<LeasedWebhook[]> {
    return this.db.$queryRaw<LeasedWebhook[]>`
      WITH due AS MATERIALIZED (
        SELECT q.endpoint_id, e.user_id, q.due_at FROM webhook_queue q JOIN webhook_endpoint e ON e.id = q.endpoint_id
        WHERE q.due_at <= statement_timestamp() AND e.enabled ORDER BY q.due_at LIMIT ${mostCandidates}),
      placed AS MATERIALIZED (
        SELECT d.endpoint_id, d.due_at, row_number() OVER (PARTITION BY d.user_id ORDER BY d.due_at, d.endpoint_id) AS place, (
          SELECT count(*) FROM webhook_endpoint o JOIN webhook_queue oq ON oq.endpoint_id = o.id
          WHERE o.user_id = d.user_id AND oq.lease IS NOT NULL AND oq.due_at > statement_timestamp()) AS busy
        FROM due d),
      chosen AS MATERIALIZED (
        SELECT q.endpoint_id FROM webhook_queue q JOIN placed p ON p.endpoint_id = q.endpoint_id
        WHERE q.due_at <= statement_timestamp() AND p.place + p.busy <= ${mostOfAnOwner}
        ORDER BY p.place, p.due_at LIMIT ${most} FOR UPDATE SKIP LOCKED),
      heads AS (
        SELECT c.endpoint_id, h.id, h.body, h.tries FROM chosen c LEFT JOIN LATERAL (
          SELECT d.id, d.body, d.tries FROM webhook_delivery d
          WHERE d.endpoint_id = c.endpoint_id AND d.state = 'pending' ORDER BY d.position LIMIT 1) h ON true),
      held AS (
        UPDATE webhook_queue q SET lease = CASE WHEN h.id IS NOT NULL THEN ${newId()}::uuid END,
          -- Nothing waits, or was added this moment: it is looked at once more.
          due_at = statement_timestamp() + CASE WHEN h.id IS NOT NULL THEN ${leaseMs}::int ELSE 60000 END * interval '1 ms'
        FROM heads h WHERE h.endpoint_id = q.endpoint_id
        RETURNING q.endpoint_id, q.lease, h.id, h.body, h.tries)
      SELECT h.endpoint_id::text AS "endpointId", h.lease::text, e.url, e.secret,
        CASE WHEN e.previous_ends_at > statement_timestamp() THEN e.previous_secret END AS "previousSecret",
        h.id::text AS "deliveryId", h.body, h.tries, statement_timestamp() AS "takenAt"
      FROM held h JOIN webhook_endpoint e ON e.id = h.endpoint_id WHERE h.id IS NOT NULL`;
  }
  /* eslint-enable no-restricted-syntax */

  /** Locks the endpoint and its queue; whether this lease still holds it, and all attempts have failed for so long by now. */
  async lockHeld(endpointId: string, lease: string, hours: number) {
    await lockRows(this.db, { webhook_endpoint: [endpointId], webhook_queue: [endpointId] });
    const [held] = await this.db.$queryRaw<{ hasFailedForLong: boolean; userId: string; url: string }[]>`
      SELECT coalesce(q.failing_since <= statement_timestamp() - make_interval(hours => ${hours}::int), false) AS "hasFailedForLong",
        e.user_id::text AS "userId", e.url
      FROM webhook_queue q JOIN webhook_endpoint e ON e.id = q.endpoint_id WHERE q.endpoint_id = ${endpointId}::uuid AND q.lease = ${lease}::uuid`;
    return held ?? null;
  }

  /** Keeps an attempt, and what it has ended the delivery with; null where it goes on. */
  async addAttempt(id: string, attempt: WebhookAttempt, end: DeliveryEnd | null): Promise<void> {
    await this.db.$executeRaw`
      UPDATE webhook_delivery SET tries = tries + 1, state = coalesce(${end}::webhook_delivery_state, state),
        ended_at = CASE WHEN ${end}::text IS NOT NULL THEN statement_timestamp() END,
        attempts = (CASE WHEN jsonb_array_length(attempts) >= ${mostAttemptsKept}::int THEN attempts - 0 ELSE attempts END)
          || jsonb_build_array(${JSON.stringify(attempt)}::jsonb)
      WHERE id = ${id}::uuid`;
  }

  /** Lets others take the queue on: after a pause, or at once where more waits. The caller has locked it, so that nothing is added meanwhile. */
  async release(endpointId: string, hasFailed: boolean, pauseMs: number | null): Promise<void> {
    await this.db.$executeRaw`
      UPDATE webhook_queue q SET lease = NULL,
        failing_since = CASE WHEN ${hasFailed}::boolean THEN coalesce(failing_since, statement_timestamp()) END,
        due_at = CASE WHEN EXISTS (SELECT FROM webhook_delivery d WHERE d.endpoint_id = q.endpoint_id AND d.state = 'pending')
          THEN statement_timestamp() + coalesce(${pauseMs}::int, 0) * interval '1 ms' END
      WHERE endpoint_id = ${endpointId}::uuid`;
  }

  async disable(endpointId: string, reason: 'failures' | 'gone'): Promise<void> {
    await this.db.$executeRaw`
      WITH disabled AS (
        UPDATE webhook_endpoint SET enabled = false, disabled_reason = ${reason}::webhook_disabling, version = version + 1
        WHERE id = ${endpointId}::uuid AND enabled RETURNING id)
      UPDATE webhook_queue q SET due_at = NULL FROM disabled d WHERE q.endpoint_id = d.id`;
  }

  find(endpointId: string, id: string) {
    return this.db.webhookDelivery.findFirst({ where: { endpointId, id } });
  }

  list(endpointId: string, { after, take }: Slice<string>) {
    return this.db.webhookDelivery.findMany({
      where: { endpointId, ...(after !== null && { id: { lt: after } }) },
      orderBy: { id: 'desc' },
      take,
    });
  }

  /** Queues it again, now and with all its attempts. The caller has locked the queue. */
  async queueAgain(endpointId: string, id: string): Promise<void> {
    await this.db.$executeRaw`
      WITH again AS (
        UPDATE webhook_delivery SET state = 'pending', tries = 0, ended_at = NULL, expires_at = statement_timestamp() + make_interval(days => ${keepDays}::int)
        WHERE id = ${id}::uuid AND endpoint_id = ${endpointId}::uuid RETURNING endpoint_id)
      UPDATE webhook_queue q SET due_at = CASE WHEN q.lease IS NULL THEN statement_timestamp() ELSE q.due_at END
      FROM again a WHERE q.endpoint_id = a.endpoint_id`;
  }
}
