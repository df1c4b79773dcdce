import { Module } from '@nestjs/common';
import { UsersModule } from '../users/users.module.ts';
import { WebhookAddresses } from './webhook-addresses.ts';
import { WebhookEndpointsController } from './webhook-endpoints.controller.ts';
import { WebhookEndpointsRepository } from './webhook-endpoints.repository.ts';
import { WebhookEndpointsService } from './webhook-endpoints.service.ts';
import { WebhookSecrets } from './webhook-secrets.ts';

@Module({
  imports: [UsersModule],
  controllers: [WebhookEndpointsController],
  providers: [WebhookEndpointsService, WebhookEndpointsRepository, WebhookSecrets, WebhookAddresses],
})
export class WebhooksModule {}
