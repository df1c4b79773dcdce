/** @servers any */
import { randomUUID } from 'node:crypto';
import type { Response } from 'supertest';
import { api, serve, type TestApp, type Variables } from './support/app.ts';
import { crowd } from './support/crowd.ts';
import type { Person } from './support/make.ts';
import { type OwnCluster, pauseReplay, replicaSuperuser, startOwnCluster, ask } from './support/own-cluster.ts';

// Instances that are not alike: who writes may have no replica, who reads has one that stands still.

const token = 'consistency-token';
let own: OwnCluster;
let reader: TestApp;
let people: Person[];
let alice: Person;
const instances: TestApp[] = [];

beforeAll(async () => {
  own = await startOwnCluster();
  reader = await instance({});
  people = await crowd(reader, 2, { balance: 1000 });
  alice = people[0]!;
});
afterEach(() => ask(replicaSuperuser(own), 'SELECT pg_wal_replay_resume()'));
afterAll(async () => {
  for (const { close } of instances) await close();
  await own.close();
});

async function instance(variables: Variables): Promise<TestApp> {
  const { app, url } = await serve(own.database, { DATABASE_READ_CONSISTENCY: '', ...variables });
  const database = { ...own.database, drop: async () => undefined };
  const started: TestApp = { app, url, database, as: (by) => api(url, by), close: () => app.close() };
  instances.push(started);
  return started;
}

const tokenOf = ({ headers }: Response): string => headers[token] ?? 'none';
const amount = { amount: 1, currency: 'EUR' };
const transfer = () => ({ fromAccountId: alice.accountId, toAccountId: people[1]!.accountId, amount });
/** Read by this person on the instance with the replica, which has not replayed it. */
const read = (by: string, path: string, shown: string) => reader.as(by).get(path).set(token, shown);

describe.each([
  ['without a replica', { DATABASE_READ_URL: '' }],
  ['without a replica, level instance', { DATABASE_READ_URL: '', DATABASE_READ_CONSISTENCY: 'instance' }],
  ['that reads from the primary', { DATABASE_READ_CONSISTENCY: 'primary' }],
  ['with a replica', {}],
])('what an instance %s has stored', (_, variables) => {
  let writer: TestApp;
  beforeAll(async () => {
    writer = await instance(variables);
  });
  beforeEach(() => pauseReplay(replicaSuperuser(own)));

  it('in a boundary is seen elsewhere with its token, and so is what a repeated key is answered', async () => {
    const key = randomUUID();
    const send = () => writer.as(alice.token).post('/v1/transfers', transfer()).set('idempotency-key', key);
    const first = await send().expect(201);
    const path = `/v1/transfers/${first.body.id}`;
    await read(alice.token, path, tokenOf(first)).expect(200);
    const again = await send().expect(201);
    expect(again.headers['idempotent-replayed']).toBe('true');
    await read(alice.token, path, tokenOf(again)).expect(200);
    // Without a token nothing is promised: the replica stands still, so the test can see the difference.
    await reader.as(alice.token).get(path).expect(404);
  });

  it('outside any boundary is seen elsewhere with its token', async () => {
    const written = await writer
      .as(alice.token)
      .post('/v1/accounts', { currency: 'EUR' })
      .unset('idempotency-key')
      .expect(201);
    await read(alice.token, `/v1/accounts/${written.body.id}`, tokenOf(written)).expect(200);
  });

  it('by an edit, a batch, a sign-up and a log-in is seen elsewhere with its token', async () => {
    const displayName = randomUUID().slice(0, 20);
    const edit = await writer
      .as(alice.token)
      .patch(`/v1/users/${alice.id}`, { profile: { displayName } })
      .set('if-match', '*')
      .expect(200);
    expect((await read(alice.token, '/v1/users/me', tokenOf(edit)).expect(200)).body.profile.displayName).toBe(
      displayName,
    );
    const batch = await writer.as(alice.token).post('/v1/transfers/batch', { mode: 'atomic', transfers: [transfer()] });
    expect(batch.status).toBeLessThan(300);
    expect(tokenOf(batch)).toMatch(/^[0-9a-f]{16}$/);

    const [email, password] = [`${randomUUID()}@example.com`, 'correct horse battery'];
    const signUp = await writer
      .as()
      .post('/v1/users', { email, password, profile: { displayName: 'New' }, currency: 'EUR' })
      .expect(201);
    const logIn = await writer.as().post('/v1/sessions', { email, password }).expect(201);
    await read(logIn.body.accessToken, '/v1/users/me', tokenOf(signUp)).expect(200);
    await read(logIn.body.accessToken, '/v1/users/me', tokenOf(logIn)).expect(200);
  });
});
