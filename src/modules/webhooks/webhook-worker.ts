import { AsyncResource } from 'node:async_hooks';
import {
  type BeforeApplicationShutdown,
  Inject,
  Injectable,
  Logger,
  type OnApplicationBootstrap,
} from '@nestjs/common';
import type { Config } from '../../config/config.ts';
import { WebhooksConfig } from '../../config/slices.ts';
import { WakeableLoop } from '../../events/wakeable-loop.ts';
import { unitOfWork } from '../../transactions/unit-of-work.ts';
import { WebhookDeliveriesService } from './webhook-deliveries.service.ts';
import type { LeasedWebhook, SendOutcome } from './webhook-delivery.ts';
import { WebhookSender } from './webhook-sender.ts';

/** What a lease lasts beyond the request: as long as its outcome may take to be stored. */
const storingMs = 30_000;

/** Sends the webhooks that are due, each endpoint's one after the other. Every instance does; one that dies is taken over when its leases are over. */
@Injectable()
export class WebhookWorker implements OnApplicationBootstrap, BeforeApplicationShutdown {
  private readonly logger = new Logger(WebhookWorker.name);
  private readonly loop: WakeableLoop;
  private readonly sending = new Set<Promise<void>>();
  // A request belongs to no boundary, and to no request of a caller, whoever has brought it about.
  private readonly outside = new AsyncResource(WebhookWorker.name);

  constructor(
    private readonly deliveries: WebhookDeliveriesService,
    private readonly sender: WebhookSender,
    @Inject(WebhooksConfig.KEY) private readonly config: Config['webhooks'],
  ) {
    this.loop = new WakeableLoop(() => this.work(), config.pollIntervalMs);
  }

  onApplicationBootstrap(): void {
    if (this.config.pollIntervalMs > 0) this.outside.runInAsyncScope(() => this.loop.start());
  }

  /** Waits for the requests in hand, each of which has its time limit. */
  async beforeApplicationShutdown(): Promise<void> {
    await this.loop.stop();
    await Promise.all(this.sending);
  }

  private async work(): Promise<number | null> {
    const free = this.config.requestsAtOnce - this.sending.size;
    if (free === 0) return null;
    try {
      const leaseMs = this.config.timeoutMs + storingMs;
      const taken = await unitOfWork('WebhookWorker.take', () => this.deliveries.take(free, leaseMs));
      for (const webhook of taken) this.begin(webhook);
    } catch (error) {
      this.logger.warn({ err: error }, 'webhooks could not be taken on');
    }
    return null;
  }

  /** Not awaited: an endpoint that hangs holds up no other one. */
  private begin(webhook: LeasedWebhook): void {
    const sent = this.send(webhook).finally(() => {
      this.sending.delete(sent);
      this.outside.runInAsyncScope(() => this.loop.wake());
    });
    this.sending.add(sent);
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
