import { Controller, Delete, Get, Header, Patch, Post } from '@nestjs/common';
import {
  Body,
  Caller,
  type ExpectedVersion,
  Idempotent,
  IfMatch,
  NeedsIfMatch,
  Param,
  Query,
  Refuses,
  Returns,
  ReturnsCreated,
  ReturnsNothing,
  SignedIn,
} from '../../http/route.ts';
import type { Principal } from '../../kernel/principal.ts';
import { WebhookDeliveriesService } from './webhook-deliveries.service.ts';
import { WebhookEndpointsService } from './webhook-endpoints.service.ts';
import { webhookProblems } from './webhooks.problems.ts';
import {
  NewWebhookEndpoint,
  WebhookDeliveryId,
  WebhookDeliveryPage,
  WebhookDeliveryQuery,
  WebhookDeliveryView,
  WebhookEndpointId,
  WebhookEndpointPage,
  WebhookEndpointPatch,
  WebhookEndpointQuery,
  WebhookEndpointView,
  WebhookEndpointWithSecret,
} from './webhooks.schema.ts';

@Controller('v1/webhook-endpoints')
export class WebhookEndpointsController {
  constructor(
    private readonly endpoints: WebhookEndpointsService,
    private readonly deliveries: WebhookDeliveriesService,
  ) {}

  @Post()
  @SignedIn()
  @Idempotent('optional')
  @Header('cache-control', 'no-store')
  @ReturnsCreated(WebhookEndpointWithSecret, '/v1/webhook-endpoints')
  @Refuses(webhookProblems.urlRefused, webhookProblems.tooManyEndpoints)
  createWebhookEndpoint(@Caller() caller: Principal, @Body(NewWebhookEndpoint) endpoint: NewWebhookEndpoint) {
    return this.endpoints.create(caller, endpoint);
  }

  @Get()
  @SignedIn()
  @Returns(200, WebhookEndpointPage)
  listWebhookEndpoints(@Caller() caller: Principal, @Query(WebhookEndpointQuery) query: WebhookEndpointQuery) {
    return this.endpoints.list(caller, query);
  }

  @Get(':id')
  @SignedIn()
  @Returns(200, WebhookEndpointView)
  @Refuses(webhookProblems.endpointNotFound)
  getWebhookEndpoint(@Caller() caller: Principal, @Param('id', WebhookEndpointId) id: string) {
    return this.endpoints.get(caller, id);
  }

  @Patch(':id')
  @SignedIn()
  @NeedsIfMatch()
  @Returns(200, WebhookEndpointView)
  @Refuses(webhookProblems.endpointNotFound, webhookProblems.urlRefused)
  editWebhookEndpoint(
    @Caller() caller: Principal,
    @Param('id', WebhookEndpointId) id: string,
    @IfMatch() version: ExpectedVersion,
    @Body(WebhookEndpointPatch) patch: WebhookEndpointPatch,
  ) {
    return this.endpoints.edit(caller, id, version, patch);
  }

  @Delete(':id')
  @SignedIn()
  @NeedsIfMatch()
  @ReturnsNothing()
  @Refuses(webhookProblems.endpointNotFound)
  removeWebhookEndpoint(
    @Caller() caller: Principal,
    @Param('id', WebhookEndpointId) id: string,
    @IfMatch() version: ExpectedVersion,
  ) {
    return this.endpoints.remove(caller, id, version);
  }

  @Post(':id/rotate-secret')
  @SignedIn()
  @Idempotent('required')
  @Header('cache-control', 'no-store')
  @Returns(200, WebhookEndpointWithSecret)
  @Refuses(webhookProblems.endpointNotFound)
  rotateWebhookSecret(@Caller() caller: Principal, @Param('id', WebhookEndpointId) id: string) {
    return this.endpoints.rotateSecret(caller, id);
  }

  @Get(':id/deliveries')
  @SignedIn()
  @Returns(200, WebhookDeliveryPage)
  @Refuses(webhookProblems.endpointNotFound)
  listWebhookDeliveries(
    @Caller() caller: Principal,
    @Param('id', WebhookEndpointId) id: string,
    @Query(WebhookDeliveryQuery) query: WebhookDeliveryQuery,
  ) {
    return this.deliveries.list(caller, id, query);
  }

  @Post(':id/deliveries/:deliveryId/redeliver')
  @SignedIn()
  @Idempotent('required')
  @Returns(202, WebhookDeliveryView)
  @Refuses(webhookProblems.endpointNotFound, webhookProblems.deliveryNotFound, webhookProblems.endpointDisabled)
  redeliverWebhook(
    @Caller() caller: Principal,
    @Param('id', WebhookEndpointId) id: string,
    @Param('deliveryId', WebhookDeliveryId) deliveryId: string,
  ) {
    return this.deliveries.redeliver(caller, id, deliveryId);
  }
}
