import { newId, showId } from '../../src/kernel/ids.ts';
import type { BrokenRule, Cases, World } from '../support/cases.ts';
import { uuidOf } from '../support/make.ts';

const event = (changed: Readonly<Record<string, string>>): BrokenRule => {
  const values = {
    id: 'gen_random_uuid()',
    type: `'probe.happened'`,
    version: '1',
    subject_id: 'gen_random_uuid()',
    data: `'{}'`,
    expires_at: `now() + interval '1 day'`,
    ...changed,
  };
  return { statements: [`INSERT INTO event (${Object.keys(values).join()}) VALUES (${Object.values(values).join()})`] };
};
const delivery = (columns: string, values: string): BrokenRule => ({
  statements: [
    `INSERT INTO event_delivery (consumer, position, order_key, ${columns}) VALUES ('probe', 1, gen_random_uuid(), ${values})`,
  ],
});
const breaking = (broken: BrokenRule) => () => Promise.resolve(broken);

/** Something that concerns the person, and of which the books know nothing, is told; gives the id of the event. */
async function tell({ service }: World, by: { id: string }, type = 'cases.happened'): Promise<string> {
  const id = newId();
  await service.database.query(
    `INSERT INTO event (id, type, version, subject_id, owner_id, data, expires_at)
     VALUES ($1, $3, 1, gen_random_uuid(), $2, '{}', now() + interval '1 day')`,
    [id, uuidOf(by.id), type],
  );
  await service.database.query(
    'UPDATE event_horizon SET position = greatest(position, (SELECT max(position) FROM event))',
  );
  return showId('evt', id);
}

/** The same, given up by a consumer. */
async function giveUp(world: World, consumer = 'Cases.act', type?: string): Promise<string> {
  const id = await tell(world, world.alice, type);
  const { query } = world.service.database;
  await query('INSERT INTO event_consumer (name, position) VALUES ($1, 0) ON CONFLICT DO NOTHING', [consumer]);
  await query(
    `INSERT INTO event_delivery (consumer, position, order_key, attempts, due_at, dead_at, last_error)
     SELECT $1, position, subject_id, 15, 'infinity', now(), 'Error' FROM event WHERE id = $2`,
    [consumer, uuidOf(id)],
  );
  return id;
}

export const cases: Cases = {
  memory: {
    'modules/events/event-waiters.ts waiters': 'its size: 1,000 requests, 20 of one user',
    'events/event-consumers.ts consumers': 'the consumers of the program',
    'events/event-relay.ts listeners': 'the parts of the program that listen',
    'events/event-type.ts types': 'the types of events of the program',
  },
  tables: {
    event_horizon: 'one row',
    event_consumer: 'one for each consumer that there ever was',
    event_delivery: 'removed with its effect; what was given up stays until somebody has it delivered again',
  },
  rights: {
    event: 'INSERT, DELETE',
    event_horizon: 'UPDATE',
    event_consumer: 'INSERT, UPDATE, DELETE',
    event_delivery: 'INSERT, UPDATE, DELETE',
  },
  rules: {
    event_type_is_named: breaking(event({ type: `'Order placed'` })),
    event_version_counts_from_one: breaking(event({ version: '0' })),
    event_data_is_an_object: breaking(event({ data: `'[]'` })),
    event_expires_later: breaking(event({ expires_at: `now() - interval '1 day'` })),
    event_horizon_is_only_one: breaking({ statements: ['UPDATE event_horizon SET is_only = false'] }),
    event_horizon_waits_or_not: breaking({ statements: ['UPDATE event_horizon SET watermark = position + 1'] }),
    event_horizon_never_goes_back: breaking({ statements: ['UPDATE event_horizon SET position = -1'] }),
    event_consumer_is_named: breaking({
      statements: [`INSERT INTO event_consumer (name, position) VALUES ('a b', 0)`],
    }),
    event_delivery_attempts_count_from_zero: breaking(delivery('attempts, due_at', `-1, now()`)),
    event_delivery_is_due_or_dead: breaking(delivery('due_at, dead_at', 'now(), now()')),
  },
  things: { evt: tell },
  rows: { 'GET /v1/event-deliveries': async (world) => void (await giveUp(world)) },
  routes: {
    'POST /v1/events/{id}/redeliver': async (world) => ({
      caller: world.operator,
      // A consumer of the product, and a type that it is told of.
      id: await giveUp(world, 'webhooks', 'webhook-endpoint.disabled'),
      body: { consumer: 'webhooks' },
    }),
  },
  boundaries: {
    'RedeliveriesService.redeliver': { last: 'UPDATE event_delivery', call: 'POST /v1/events/{id}/redeliver' },
  },
  measured: {
    'POST /v1/events/:id/redeliver': async (world) => {
      const id = await giveUp(world);
      return () => world.operator.api.post(`/v1/events/${id}/redeliver`);
    },
  },
};
