import { z } from 'zod';
import { defineEvent } from '../../events/event-type.ts';
import { idOut } from '../../http/schemas.ts';

export const webhookEndpointDisabled = defineEvent({
  type: 'webhook-endpoint.disabled',
  meaning: 'An endpoint of webhooks was disabled: it has failed for three days, or has answered 410.',
  subject: 'wep',
  data: z.object({
    webhookEndpointId: idOut('wep'),
    reason: z.enum(['failures', 'gone']).meta({ description: 'Why' }),
  }),
});
