import { Injectable } from '@nestjs/common';
import type { Slice } from '../../http/pages/page.ts';
import { withoutUndefined } from '../../kernel/defined.ts';
import type { Scope } from '../../kernel/principal.ts';
import { defineLockableTables } from '../../transactions/lockable-tables.ts';
import { lockRows } from '../../transactions/locks.ts';
import { InjectDatabase, type Sql, type Tables } from '../../transactions/tables.ts';

export const webhookLocks = defineLockableTables('documents', { webhook_endpoint: 'id', webhook_queue: 'endpoint_id' });
declare module '../../transactions/lockable-tables.ts' {
  interface LockableTables extends Readonly<typeof webhookLocks> {}
}

type Bytes = Uint8Array<ArrayBuffer>;

interface EndpointRow {
  readonly id: string;
  readonly userId: string;
  readonly url: string;
  readonly description: string | null;
  readonly types: string[];
  readonly isOfOperator: boolean;
  readonly secret: Bytes;
}

interface EndpointChange {
  readonly url?: string | undefined;
  readonly description?: string | null | undefined;
  readonly types?: string[] | undefined;
  readonly enabled?: boolean | undefined;
}

@Injectable()
export class WebhookEndpointsRepository {
  // Sql: Prisma has no row locks, and moments are told by the clock of the database.
  constructor(@InjectDatabase() private readonly db: Tables<'webhookEndpoint' | 'webhookQueue'> & Sql) {}

  create(endpoint: EndpointRow) {
    return this.db.webhookEndpoint.create({ data: { ...endpoint, queue: { create: {} } } });
  }

  count(userId: string): Promise<number> {
    return this.db.webhookEndpoint.count({ where: { userId } });
  }

  find(scope: Scope, id: string) {
    return this.db.webhookEndpoint.findFirst({ where: { id, ...scope } });
  }

  /** The endpoint, locked with its queue until the boundary ends; that of somebody else is neither found nor locked. */
  async lock(scope: Scope, id: string) {
    if ((await this.find(scope, id)) === null) return null;
    await lockRows(this.db, { webhook_endpoint: [id], webhook_queue: [id] });
    return this.find(scope, id);
  }

  list(scope: Scope, { after, take }: Slice<string>) {
    return this.db.webhookEndpoint.findMany({
      where: { ...scope, ...(after !== null && { id: { lt: after } }) },
      orderBy: { id: 'desc' },
      take,
    });
  }

  /** Changes a row that the caller has locked. */
  update(id: string, change: EndpointChange) {
    return this.db.webhookEndpoint.update({
      where: { id },
      data: { ...withoutUndefined(change), disabledReason: null, version: { increment: 1 } },
    });
  }

  /** Has what waits sent from now on, and the failures of before forgotten. The caller has locked the queue. */
  async resume(id: string): Promise<void> {
    await this.db.$executeRaw`
      UPDATE webhook_queue q SET failing_since = NULL, due_at = CASE
        WHEN lease IS NOT NULL THEN due_at
        WHEN EXISTS (SELECT FROM webhook_delivery d WHERE d.endpoint_id = q.endpoint_id AND d.state = 'pending') THEN statement_timestamp() END
      WHERE endpoint_id = ${id}::uuid`;
  }

  /** The new secret; the present one signs beside it for so many seconds. */
  async rotate(id: string, secret: Bytes, seconds: number): Promise<void> {
    await this.db.$executeRaw`
      UPDATE webhook_endpoint SET previous_secret = secret, previous_ends_at = statement_timestamp() + make_interval(secs => ${seconds}),
        secret = ${secret}::bytea, version = version + 1
      WHERE id = ${id}::uuid`;
  }

  async remove(id: string): Promise<void> {
    await this.db.webhookEndpoint.delete({ where: { id } });
  }
}
