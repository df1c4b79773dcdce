import {
  type BeforeApplicationShutdown,
  Inject,
  Injectable,
  Logger,
  type OnApplicationBootstrap,
} from '@nestjs/common';
import type { Config } from '../../config/config.ts';
import { WebhooksConfig } from '../../config/slices.ts';
import { LeasedWork } from '../../queues/leased-work.ts';
import { unitOfWork } from '../../transactions/unit-of-work.ts';
import { WebhookDeliveriesService } from './webhook-deliveries.service.ts';
import type { LeasedWebhook, SendOutcome } from './webhook-delivery.ts';
import { WebhookSender } from './webhook-sender.ts';

/** Sends the webhooks that are due, each endpoint's one after the other. Every instance does; one that dies is taken over when its leases are over. */
@Injectable()
export class WebhookWorker implements OnApplicationBootstrap, BeforeApplicationShutdown {
  private readonly logger = new Logger(WebhookWorker.name);
  private readonly work: LeasedWork<LeasedWebhook>;

  constructor(
    private readonly deliveries: WebhookDeliveriesService,
    private readonly sender: WebhookSender,
    @Inject(WebhooksConfig.KEY) { pollIntervalMs, requestsAtOnce, timeoutMs }: Config['webhooks'],
  ) {
    this.work = new LeasedWork<LeasedWebhook>({
      name: WebhookWorker.name,
      everyMs: pollIntervalMs,
      atOnce: requestsAtOnce,
      limitMs: timeoutMs,
      take: (most, leaseMs) => deliveries.take(most, leaseMs),
      do: (webhook) => this.send(webhook),
    });
  }

  onApplicationBootstrap(): void {
    this.work.start();
  }

  /** Waits for the requests in hand, each of which has its time limit. */
  beforeApplicationShutdown(): Promise<void> {
    return this.work.stop();
  }

  private async send(webhook: LeasedWebhook): Promise<void> {
    const outcome = await this.sender.send(webhook);
    this.tell(webhook, outcome);
    try {
      await unitOfWork('WebhookWorker.finish', () => this.deliveries.finish(webhook, outcome));
    } catch (error) {
      // It is sent again when its lease is over.
      this.logger.warn({ err: error, delivery: webhook.deliveryId }, 'the outcome of a webhook could not be stored');
    }
  }

  // The host alone: a path or query may hold what only the owner should know.
  private tell({ url, deliveryId }: LeasedWebhook, { status, error, durationMs }: SendOutcome): void {
    if (error === null) return;
    const line = { host: new URL(url).host, delivery: deliveryId, status, error, durationMs };
    this.logger.log(line, 'a webhook was not taken');
  }
}
