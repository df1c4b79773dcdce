/** @servers any */
import { setTimeout as sleep } from 'node:timers/promises';
import { type ReplicaRead, replicaRead } from '../src/transactions/boundary/channels.ts';
import { type Bare, fresh, startBare } from './support/bare.ts';
import { eventually } from './support/crowd.ts';
import { ask, type OwnCluster, replicaSuperuser, startOwnCluster } from './support/own-cluster.ts';
import { recordStatements } from './support/statements.ts';

// A replica that is there, and all the same does not answer.

let own: OwnCluster;
let bare: Bare;
let events: ReplicaRead[];
const hear = (event: unknown): void => void events.push(event as ReplicaRead);
// Long enough to connect on a busy machine.
const waitMs = 1500;
const small = { DATABASE_POOL_SIZE: '1', DATABASE_POOL_WAIT_MS: `${waitMs}`, DATABASE_REPLICA_WAIT_MS: '8000' };

beforeAll(async () => {
  own = await startOwnCluster();
});
beforeEach(async () => {
  events = [];
  bare = await startBare(own.database.urls, small);
  replicaRead.subscribe(hear);
});
afterEach(async () => {
  replicaRead.unsubscribe(hear);
  await bare.close();
});
afterAll(() => own.close());

/** Which connections the reads of this work went over. */
async function placesOf(work: () => Promise<unknown>): Promise<string[]> {
  const statements = recordStatements();
  await work().finally(() => statements.stop());
  return statements
    .take()
    .filter(({ text }) => /^SELECT (COUNT|"public")/.test(text))
    .map(({ connection }) => connection);
}
/** Keeps the one connection to the replica. */
async function keep(): Promise<() => void> {
  const { pool } = bare.databases.replicas[0]!;
  const kept = Promise.withResolvers<() => void>();
  pool.connect((_, __, done) => kept.resolve(done));
  return kept.promise;
}
const count = () => bare.db.product.count();
const boundary = () => bare.run({ readOnly: true }, count);
const results = () => events.map(({ result }) => result);

describe('a replica whose connections are all in use', () => {
  it.each([
    ['a plain read', count],
    ['a read-only boundary', boundary],
  ])('leaves %s to the primary, and the next one is on the replica again at once', async (_, read) => {
    expect(await placesOf(read)).toEqual(['holdfast read']);
    const letGo = await keep();
    expect(await placesOf(read)).toEqual(['holdfast write']);
    letGo();
    expect(await placesOf(read)).toEqual(['holdfast read']);
    expect(results()).toEqual(['full']);
  });

  it('is not taken for lost when nobody can ask how far it is', async () => {
    const letGo = await keep();
    await bare.write(fresh('written'));
    const read = placesOf(count);
    await sleep(waitMs + 200); // the question has waited in vain by now
    letGo();
    expect(await read).toEqual(['holdfast read']);
    expect(results()).toEqual(['replica']);
  });
});

describe('a read that the replica cancels, because its recovery does not wait any longer', () => {
  beforeAll(async () => {
    await setting('max_standby_streaming_delay', '0');
    // Slow for the reader only.
    const rules = [
      'ALTER TABLE product ENABLE ROW LEVEL SECURITY',
      'CREATE POLICY quick ON product TO holdfast_app USING (true) WITH CHECK (true)',
      'CREATE POLICY slow ON product FOR SELECT TO holdfast_reader USING (pg_sleep(6) IS NOT NULL)',
    ];
    for (const rule of rules) await ask(own.database.urls.owner, rule);
  });
  const setting = async (name: string, value: string): Promise<void> => {
    await ask(replicaSuperuser(own), `ALTER SYSTEM SET ${name} = '${value}'`);
    await ask(replicaSuperuser(own), 'SELECT pg_reload_conf()');
  };
  const running = () =>
    ask<{ n: number }>(
      replicaSuperuser(own),
      `SELECT count(*)::int AS n FROM pg_stat_activity WHERE wait_event = 'PgSleep'`,
    );
  /** Replays something that the read on the replica stands in the way of. */
  async function cancel(): Promise<void> {
    await eventually(running, ([row]) => row?.n === 1);
    await ask(own.database.urls.owner, 'BEGIN; LOCK TABLE product IN ACCESS EXCLUSIVE MODE; COMMIT');
  }

  it.each([
    ['a plain read', count],
    ['a read-only boundary', boundary],
  ])('%s is asked of the primary, and the replica stays in use', async (_, read) => {
    await ask(
      own.database.urls.app,
      `INSERT INTO product (id, slug, name, updated_at)
      SELECT gen_random_uuid(), gen_random_uuid(), 'a', now() WHERE NOT EXISTS (SELECT FROM product)`,
    );
    const [seen] = await Promise.all([placesOf(read), cancel()]);
    expect(seen).toEqual(['holdfast read', 'holdfast write']);
    expect(results()).toEqual(['cancelled']);
    expect(await placesOf(() => bare.db.sku.count())).toEqual(['holdfast read']);
  });
});
