import { WebhookDeliveriesService } from '../../src/modules/webhooks/webhook-deliveries.service.ts';
import { newId, showId } from '../../src/kernel/ids.ts';
import type { Cases, World } from '../support/cases.ts';
import { type Person, uuidOf } from '../support/make.ts';

const endpoint = (by: Person, columns = '', values = '') =>
  `INSERT INTO webhook_endpoint (id, user_id, url, types, is_of_operator, secret${columns})
   VALUES ('${newId()}', '${uuidOf(by.id)}', 'https://shop.example/', '{}', false, ''${values}) RETURNING id`;
const queue = (by: Person, values: string) =>
  `WITH e AS (${endpoint(by)}) INSERT INTO webhook_queue (endpoint_id, lease, due_at) SELECT id, ${values} FROM e RETURNING endpoint_id`;
let positions = 0;
const delivery = (id: string, columns = '', values = '') =>
  `INSERT INTO webhook_delivery (id, endpoint_id, position, event_id, type, body, expires_at${columns})
   SELECT '${newId()}', ${id}, ${++positions}, gen_random_uuid(), 'order.placed', '{}', now() + interval '1 day'${values} RETURNING id`;
const broken = (...statements: string[]) => Promise.resolve({ statements });
const brokenDelivery = (columns: string, values: string) => (world: World) =>
  broken(
    queue(world.alice, 'NULL, NULL::timestamptz'),
    delivery('(SELECT endpoint_id FROM webhook_queue LIMIT 1)', columns, values),
  );

async function inserted({ service }: World, statement: string): Promise<string> {
  const [row] = await service.database.query<{ id?: string; endpoint_id?: string }>(statement);
  return row?.id ?? row?.endpoint_id ?? '';
}
// By hand: a user may make ten of them alone.
const endpointOf = (world: World, by: Person) => inserted(world, queue(by, 'NULL, NULL::timestamptz'));
const deliveryOf = (world: World, endpointId: string) => inserted(world, delivery(`'${endpointId}'`));

/** Of the endpoint that was made last. */
async function newestEndpointOf(world: World, by: Person): Promise<string> {
  const newest = `SELECT id FROM webhook_endpoint WHERE user_id = '${uuidOf(by.id)}' ORDER BY created_at DESC LIMIT 1`;
  return (await inserted(world, newest)) || endpointOf(world, by);
}

// What the tests that go over all modules cannot derive of this one (test/support/cases.ts).
export const cases: Cases = {
  tables: {
    webhook_endpoint: 'ten of a user at most; removed by its owner',
    webhook_queue: 'one of an endpoint; removed with it',
  },
  rights: {
    webhook_endpoint: 'INSERT, UPDATE, DELETE',
    webhook_queue: 'INSERT, UPDATE, DELETE',
    webhook_delivery: 'INSERT, UPDATE, DELETE',
  },
  refusals: { removeWebhookEndpoint: ['version-mismatch'] },
  things: {
    wep: async (world, by) => showId('wep', await endpointOf(world, by)),
    whd: async (world, by) => showId('whd', await deliveryOf(world, await newestEndpointOf(world, by))),
  },
  rows: {
    'GET /v1/webhook-endpoints': async (world) => void (await endpointOf(world, world.alice)),
    'GET /v1/webhook-endpoints/{id}/deliveries': async (world, path) =>
      void (await deliveryOf(world, uuidOf(path.split('/')[3] ?? ''))),
  },
  boundaries: {
    'WebhookEndpointsService.create': {
      last: 'INSERT webhook_queue',
      call: async ({ make }) => {
        const { api } = await make.user();
        return () => api.post('/v1/webhook-endpoints', { url: 'https://shop.example/' });
      },
    },
    'WebhookEndpointsService.edit': { last: 'UPDATE webhook_endpoint', call: 'PATCH /v1/webhook-endpoints/{id}' },
    'WebhookEndpointsService.remove': { last: 'DELETE webhook_endpoint', call: 'DELETE /v1/webhook-endpoints/{id}' },
    'WebhookEndpointsService.rotateSecret': {
      last: 'UPDATE webhook_endpoint',
      call: 'POST /v1/webhook-endpoints/{id}/rotate-secret',
    },
    'WebhookDeliveriesService.redeliver': {
      last: 'UPDATE webhook_queue',
      call: 'POST /v1/webhook-endpoints/{id}/deliveries/{deliveryId}/redeliver',
    },
    'WebhookDeliveriesService.finish': {
      last: 'UPDATE webhook_queue',
      call: async (world) => {
        const endpointId = await endpointOf(world, world.alice);
        const deliveryId = await deliveryOf(world, endpointId);
        await world.service.database.query(
          `UPDATE webhook_queue SET due_at = now() WHERE endpoint_id = '${endpointId}'`,
        );
        const service = world.service.app.get(WebhookDeliveriesService);
        const taken = (await service.take(1000, 60_000)).find((one) => one.deliveryId === deliveryId);
        if (taken === undefined) throw new Error('The delivery was not taken.');
        return () =>
          service.finish(taken, { status: 500, durationMs: 1, error: 'status' }).then(
            () => ({ status: 200, body: {} }),
            () => ({ status: 500, body: { code: 'internal-error' } }),
          );
      },
    },
  },
  rules: {
    webhook_endpoint_version_counts_from_one: ({ alice }) => broken(endpoint(alice, ', version', ', 0')),
    webhook_endpoint_is_disabled_for_a_reason: ({ alice }) => broken(endpoint(alice, ', disabled_reason', `, 'gone'`)),
    webhook_endpoint_previous_secret_ends: ({ alice }) => broken(endpoint(alice, ', previous_secret', `, ''`)),
    webhook_queue_lease_ends: ({ alice }) => broken(queue(alice, 'gen_random_uuid(), NULL::timestamptz')),
    webhook_delivery_tries_count_from_zero: brokenDelivery(', tries', ', -1'),
    webhook_delivery_has_ended_or_is_pending: brokenDelivery(', ended_at', ', now()'),
    webhook_delivery_keeps_a_list_of_attempts: brokenDelivery(', attempts', `, '{}'::jsonb`),
    webhook_delivery_endpoint_id_position_key: ({ alice }) =>
      broken(
        queue(alice, 'NULL, NULL::timestamptz'),
        `INSERT INTO webhook_delivery (id, endpoint_id, position, event_id, type, body, expires_at)
         SELECT gen_random_uuid(), endpoint_id, 0, gen_random_uuid(), 'order.placed', '{}', now() + interval '1 day'
         FROM (SELECT endpoint_id FROM webhook_queue LIMIT 1) AS one, generate_series(1, 2)`,
      ),
    webhook_delivery_expires_later: brokenDelivery(', created_at', `, now() + interval '2 days'`),
  },
  routes: {
    'POST /v1/webhook-endpoints': async ({ make }) => ({
      caller: await make.user(),
      body: { url: 'https://shop.example/', description: 'The warehouse', types: ['order.placed'] },
    }),
    'PATCH /v1/webhook-endpoints/{id}': async (world) => ({
      caller: world.alice,
      id: showId('wep', await endpointOf(world, world.alice)),
      body: { url: 'https://shop.example/', description: 'The warehouse', types: ['order.placed'], enabled: true },
    }),
  },
  measured: {
    'POST /v1/webhook-endpoints': async ({ make }) => {
      const { api } = await make.user();
      return () => api.post('/v1/webhook-endpoints', { url: 'https://shop.example/' });
    },
  },
};
