import type { PlantedBug } from './bugs.ts';

/** Mistakes in how webhooks are signed, addressed and queued. */
export const bugsOfWebhooks: readonly PlantedBug[] = [
  {
    name: 'a webhook is signed over what was parsed',
    harm: 'Whoever verifies the bytes that came refuses every webhook whose text is spelled in another way.',
    changes: [
      {
        file: 'src/modules/webhooks/webhook-sender.ts',
        text: 'signatureOf(this.secrets.open(endpointId, stored), id, seconds, body),',
        replacement:
          'signatureOf(this.secrets.open(endpointId, stored), id, seconds, JSON.stringify(JSON.parse(body), null, 1)),',
      },
    ],
    caughtBy: {
      file: 'test/webhook-deliveries.test.ts',
      tests: ['is a signed CloudEvent that whoever holds the secret can verify'],
    },
    saying: /No matching signature found/,
  },
  {
    name: 'an address is checked, and looked up again to connect',
    harm: 'A name that stands for another address at the second look reaches what is private.',
    changes: [
      {
        file: 'src/modules/webhooks/webhook-sender.ts',
        text: '{ signal, lookup: pinned(addresses) }',
        replacement: '{ signal, ...(addresses.length === 0 && { lookup: pinned(addresses) }) }',
      },
    ],
    caughtBy: {
      file: 'test/webhook-addresses.test.ts',
      tests: ['is looked up once for each request: what it stands for a moment later is not connected to'],
    },
    saying: /ECONNREFUSED/,
  },
  {
    name: 'an event is acknowledged without its webhooks',
    harm: 'Whoever waits for a webhook is never told, and nobody knows.',
    changes: [
      {
        file: 'src/modules/webhooks/webhook-deliveries.service.ts',
        text: 'if (wanting.length > 0) await',
        replacement: 'if (wanting.length > 0) setImmediate(() => undefined); else await',
      },
    ],
    caughtBy: {
      file: 'test/webhook-deliveries.test.ts',
      tests: ['is queued in the commit that removes the delivery of its event, or neither is'],
    },
    saying: /waited \d+ ms in vain/,
  },
];
