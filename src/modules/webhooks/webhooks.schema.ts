import { z } from 'zod';
import { eventTypeOf } from '../../events/event-type.ts';
import { pageOf, pageQuery } from '../../http/pages/page.ts';
import { alwaysPresent, idIn, idOut, instant, prose, webAddress } from '../../http/schemas.ts';
import { defineIdKinds } from '../../kernel/ids.ts';

export const webhookIds = defineIdKinds({ wep: 'webhook endpoint', whd: 'webhook delivery' });
declare module '../../kernel/ids.ts' {
  interface IdKinds extends Readonly<typeof webhookIds> {}
}

export const WebhookEndpointId = idIn('wep');

const typeIn = z
  .string()
  .max(100)
  .refine((type) => eventTypeOf(type) !== undefined, 'must be a type of events that there is');

const fields = {
  url: webAddress(2000).meta({
    description: 'Where events are sent, by https; without user, password and fragment',
    examples: ['https://shop.example/webhooks'],
  }),
  description: prose(500)
    .nullish()
    .meta({ description: 'For people; not interpreted', examples: ['The warehouse'] }),
  types: z
    .array(typeIn)
    .min(1)
    .max(100)
    .refine((types) => new Set(types).size === types.length, 'must name each type once')
    .nullish()
    .meta({ description: 'Which types of events; null for all', examples: [['order.placed']] }),
};
const enabled = z.boolean().meta({ description: 'Whether events are sent to it', examples: [true] });

export const NewWebhookEndpoint = z.strictObject(fields).meta({ id: 'NewWebhookEndpoint' });
export type NewWebhookEndpoint = z.infer<typeof NewWebhookEndpoint>;

export const WebhookEndpointPatch = z
  .strictObject({ ...fields, enabled })
  .partial()
  .meta({ id: 'WebhookEndpointPatch' });
export type WebhookEndpointPatch = z.infer<typeof WebhookEndpointPatch>;

export const WebhookEndpointView = z
  .object({
    object: z.literal('webhook_endpoint').default('webhook_endpoint'),
    id: idOut('wep'),
    userId: idOut('usr'),
    ...alwaysPresent({
      ...fields,
      types: z
        .array(z.string())
        .nullable()
        .meta(fields.types.meta() ?? {}),
    }),
    enabled,
    disabledReason: z
      .enum(['failures', 'gone'])
      .nullable()
      .meta({
        description:
          'Why the service has disabled it: every attempt of three days has failed, or it has answered 410; null where it has not',
        examples: [null],
      }),
    version: z.int().meta({ description: 'Counts the changes: the ETag', examples: [1] }),
    createdAt: instant,
    updatedAt: instant,
  })
  .meta({ id: 'WebhookEndpoint', description: 'Where a user has events sent to' });

export const WebhookEndpointWithSecret = WebhookEndpointView.extend({
  secret: z.string().meta({
    description: 'Signs what is sent (Standard Webhooks); shown here and never again',
    examples: ['whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSwMfKQ9r8GKYo='],
  }),
}).meta({ id: 'WebhookEndpointWithSecret', description: 'A webhook endpoint with its new secret' });

export const WebhookEndpointQuery = z.strictObject(pageQuery);
export type WebhookEndpointQuery = z.infer<typeof WebhookEndpointQuery>;
export const WebhookEndpointPage = pageOf(WebhookEndpointView).meta({
  id: 'WebhookEndpointPage',
  description: 'Webhook endpoints, newest first',
});

export const WebhookDeliveryId = idIn('whd');

const WebhookAttemptView = z
  .object({
    at: z.iso.datetime().meta({ description: 'RFC 3339, UTC', examples: ['2026-11-21T09:30:00.000Z'] }),
    status: z
      .int()
      .nullable()
      .meta({ description: 'Of the response; null where there was none', examples: [503] }),
    durationMs: z.int().meta({ description: 'How long the request took, milliseconds', examples: [120] }),
    error: z
      .string()
      .nullable()
      .meta({
        description:
          'Why it has failed: `status`, `redirect`, `timeout` or the name of an error; null where it has not',
        examples: ['status'],
      }),
  })
  .meta({ id: 'WebhookAttempt', description: 'One request to an endpoint' });

export const WebhookDeliveryView = z
  .object({
    object: z.literal('webhook_delivery').default('webhook_delivery'),
    id: idOut('whd'),
    endpointId: idOut('wep'),
    eventId: idOut('evt'),
    type: z.string().meta({ description: 'Of the event', examples: ['order.placed'] }),
    state: z
      .enum(['pending', 'delivered', 'dead'])
      .meta({ description: 'Whether it is still sent, was taken, or was given up', examples: ['delivered'] }),
    attempts: z.array(WebhookAttemptView).meta({ description: 'The last 20, oldest first' }),
    createdAt: instant,
    endedAt: instant.nullable().meta({ description: 'When it was taken or given up', examples: [null] }),
  })
  .meta({ id: 'WebhookDelivery', description: 'An event that is sent to an endpoint' });

export const WebhookDeliveryQuery = z.strictObject(pageQuery);
export type WebhookDeliveryQuery = z.infer<typeof WebhookDeliveryQuery>;
export const WebhookDeliveryPage = pageOf(WebhookDeliveryView).meta({
  id: 'WebhookDeliveryPage',
  description: 'Deliveries to an endpoint, newest first',
});
