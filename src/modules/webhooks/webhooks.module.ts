import { Module } from '@nestjs/common';
import { UsersModule } from '../users/users.module.ts';
import { WebhookAddresses } from './webhook-addresses.ts';
import { WebhookDeliveriesRepository } from './webhook-deliveries.repository.ts';
import { WebhookDeliveriesService } from './webhook-deliveries.service.ts';
import { WebhookEndpointsController } from './webhook-endpoints.controller.ts';
import { WebhookEndpointsRepository } from './webhook-endpoints.repository.ts';
import { WebhookEndpointsService } from './webhook-endpoints.service.ts';
import { WebhookSecrets } from './webhook-secrets.ts';
import { WebhookSender } from './webhook-sender.ts';
import { WebhookWorker } from './webhook-worker.ts';

@Module({
  imports: [UsersModule],
  controllers: [WebhookEndpointsController],
  providers: [
    WebhookEndpointsService,
    WebhookEndpointsRepository,
    WebhookDeliveriesService,
    WebhookDeliveriesRepository,
    WebhookSecrets,
    WebhookAddresses,
    WebhookSender,
    WebhookWorker,
  ],
})
export class WebhooksModule {}
