import { Injectable } from '@nestjs/common';
import { z } from 'zod';
import { cloudEventOf } from '../../events/cloud-event.ts';
import type { RecordedEvent } from '../../events/event-type.ts';
import { Events } from '../../events/events.ts';
import { anyEvent, OnEvent } from '../../events/on-event.ts';
import { page } from '../../http/pages/page.ts';
import { showInstant } from '../../kernel/instants.ts';
import { type Principal, scopeOf } from '../../kernel/principal.ts';
import { found } from '../../kernel/problem.ts';
import { Transactional } from '../../transactions/transactional.ts';
import { WebhookDeliveriesRepository } from './webhook-deliveries.repository.ts';
import type { LeasedWebhook, SendOutcome, WebhookAttempt } from './webhook-delivery.ts';
import { WebhookEndpointsRepository } from './webhook-endpoints.repository.ts';
import { failingHours, pauseAfter } from './webhook-retries.ts';
import { webhookEndpointDisabled } from './webhooks.events.ts';
import { webhookProblems } from './webhooks.problems.ts';
import type { WebhookDeliveryQuery } from './webhooks.schema.ts';

const gone = 410;

@Injectable()
export class WebhookDeliveriesService {
  constructor(
    private readonly deliveries: WebhookDeliveriesRepository,
    private readonly endpoints: WebhookEndpointsRepository,
    private readonly events: Events,
  ) {}

  /** Queues the event for each endpoint that wants it, in the boundary with which its delivery is removed. */
  @OnEvent(anyEvent, {
    name: 'webhooks',
    wants: ({ deliveries }: WebhookDeliveriesService, types) => deliveries.listWanted(types),
  })
  async queue(event: RecordedEvent): Promise<void> {
    const wanting = await this.deliveries.listWanting(event);
    if (wanting.length > 0) await this.deliveries.add(wanting, event, JSON.stringify(cloudEventOf(event)));
  }

  /** What is due of at most so many endpoints, each held for so long by whoever asks. */
  take(most: number, leaseMs: number): Promise<LeasedWebhook[]> {
    return this.deliveries.take(most, leaseMs);
  }

  /** Keeps what a request has come to, and has the endpoint go on; false where somebody else has taken it over meanwhile. */
  @Transactional()
  async finish(webhook: LeasedWebhook, outcome: SendOutcome): Promise<boolean> {
    const { endpointId, lease, deliveryId } = webhook;
    const held = await this.deliveries.lockHeld(endpointId, lease, failingHours);
    if (held === null) return false;
    const hasFailed = outcome.error !== null;
    const pauseMs = hasFailed ? pauseAfter(webhook.tries + 1) : null;
    const end = !hasFailed ? 'delivered' : pauseMs === null || outcome.status === gone ? 'dead' : null;
    const attempt: WebhookAttempt = { at: showInstant(webhook.takenAt), ...outcome };
    await this.deliveries.addAttempt(deliveryId, attempt, end);
    await this.deliveries.release(endpointId, hasFailed, end === null ? pauseMs : null);
    if (outcome.status === gone) await this.disable(endpointId, held.userId, 'gone');
    else if (hasFailed && held.hasFailedForLong) await this.disable(endpointId, held.userId, 'failures');
    return true;
  }

  /** The deliveries to an endpoint, newest first. Throws webhook-endpoint-not-found. */
  async list(principal: Principal, endpointId: string, query: WebhookDeliveryQuery) {
    found(await this.endpoints.find(scopeOf(principal), endpointId), webhookProblems.endpointNotFound);
    return page(
      'webhook-deliveries',
      { ...query, endpointId, reader: principal.userId },
      z.uuid(),
      (slice) => this.deliveries.list(endpointId, slice),
      ({ id }) => id,
    );
  }

  /** Has it sent again, with the same id. Throws webhook-endpoint-not-found, webhook-delivery-not-found, webhook-endpoint-disabled. */
  @Transactional()
  async redeliver(principal: Principal, endpointId: string, id: string) {
    const endpoint = found(await this.endpoints.lock(scopeOf(principal), endpointId), webhookProblems.endpointNotFound);
    if (!endpoint.enabled) throw webhookProblems.endpointDisabled();
    found(await this.deliveries.find(endpointId, id), webhookProblems.deliveryNotFound);
    await this.deliveries.queueAgain(endpointId, id);
    return found(await this.deliveries.find(endpointId, id), webhookProblems.deliveryNotFound);
  }

  private async disable(endpointId: string, owner: string, reason: 'failures' | 'gone'): Promise<void> {
    await this.deliveries.disable(endpointId, reason);
    this.events.record(
      webhookEndpointDisabled({ subject: endpointId, owner, data: { webhookEndpointId: endpointId, reason } }),
    );
  }
}
