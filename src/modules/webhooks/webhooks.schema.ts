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
