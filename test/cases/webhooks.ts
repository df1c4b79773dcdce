import type { Cases, World } from '../support/cases.ts';
import { uuidOf } from '../support/make.ts';

const endpoint = ({ alice }: World, columns = '', values = '') =>
  `INSERT INTO webhook_endpoint (id, user_id, url, types, is_of_operator, secret${columns})
   VALUES (gen_random_uuid(), '${uuidOf(alice.id)}', 'https://shop.example/', '{}', false, ''${values}) RETURNING id`;
const queue = (world: World, values: string) =>
  `WITH e AS (${endpoint(world)}) INSERT INTO webhook_queue (endpoint_id, lease, due_at) SELECT id, ${values} FROM e RETURNING endpoint_id`;
const broken = (...statements: string[]) => Promise.resolve({ statements });

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
  boundaries: {
    'WebhookEndpointsService.create': { last: 'INSERT webhook_queue', call: 'POST /v1/webhook-endpoints' },
    'WebhookEndpointsService.edit': { last: 'UPDATE webhook_endpoint', call: 'PATCH /v1/webhook-endpoints/{id}' },
    'WebhookEndpointsService.remove': { last: 'DELETE webhook_endpoint', call: 'DELETE /v1/webhook-endpoints/{id}' },
    'WebhookEndpointsService.rotateSecret': {
      last: 'UPDATE webhook_endpoint',
      call: 'POST /v1/webhook-endpoints/{id}/rotate-secret',
    },
  },
  rules: {
    webhook_endpoint_version_counts_from_one: (world) => broken(endpoint(world, ', version', ', 0')),
    webhook_endpoint_is_disabled_for_a_reason: (world) => broken(endpoint(world, ', disabled_reason', `, 'gone'`)),
    webhook_endpoint_previous_secret_ends: (world) => broken(endpoint(world, ', previous_secret', `, ''`)),
    webhook_queue_lease_ends: (world) => broken(queue(world, 'gen_random_uuid(), NULL::timestamptz')),
  },
};
