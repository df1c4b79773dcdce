/** @servers any */
import { randomUUID } from 'node:crypto';
import pg from 'pg';
import type * as Passwords from '../src/modules/users/passwords.ts';
import { transactionKit } from '../src/testing/testing.ts';
import { startApp, type TestApp } from './support/app.ts';
import { expectProblem } from './support/problem.ts';

// What is seen when a password is about to be hashed; `mock` is what Jest asks of a name that a factory uses.
const mockBeforeHash = jest.fn(async () => undefined as unknown);
jest.mock('../src/modules/users/passwords.ts', () => {
  const actual = jest.requireActual<typeof Passwords>('../src/modules/users/passwords.ts');
  return {
    ...actual,
    hashNewPassword: async (...given: Parameters<typeof Passwords.hashNewPassword>) => {
      await mockBeforeHash();
      return actual.hashNewPassword(...given);
    },
  };
});

let service: TestApp;
let superuser: pg.Client;
beforeAll(async () => {
  service = await startApp({ RATE_LIMIT_PER_ADDRESS: '20' });
  superuser = new pg.Client({ connectionString: service.database.urls.superuser });
  await superuser.connect();
});
afterAll(async () => {
  await superuser.end();
  await service.close();
});
beforeEach(() => mockBeforeHash.mockReset());

/** What the service's own connections are in the midst of, as the server sees it. */
const openTransactions = async (): Promise<string[]> => {
  const { rows } = await superuser.query<{ query: string }>(
    `SELECT query FROM pg_stat_activity
     WHERE datname = current_database() AND usename = 'holdfast_app' AND xact_start IS NOT NULL`,
  );
  return rows.map(({ query }) => query);
};

let people = 0;
const person = () => ({
  email: `prepared-${++people}@example.com`,
  password: 'correct horse battery',
  profile: { displayName: 'P' },
});
const signUp = (body: object, key = randomUUID()) => service.as().post('/v1/users', body).set('idempotency-key', key);

describe('a sign-up with an Idempotency-Key', () => {
  it('hashes its password while no transaction is open, and the password is the right one', async () => {
    const open: string[][] = [];
    mockBeforeHash.mockImplementation(async () => open.push(await openTransactions()));
    const { email, password, ...rest } = person();
    await signUp({ email, password, ...rest }).expect(201);
    expect(open).toEqual([[]]);
    await service.as().post('/v1/sessions', { email, password }).expect(201);
    await service.as().post('/v1/sessions', { email, password: 'another horse' }).expect(401);
  });

  it('hashes it once, also when its boundary runs again', async () => {
    const kit = transactionKit(service.app);
    kit.failAt({ at: 'commit', sqlState: '40001', boundary: 'UsersService.signUp' });
    await signUp(person()).expect(201);
    await kit.end();
    expect(mockBeforeHash).toHaveBeenCalledTimes(1);
  });

  it('is answered again as it was', async () => {
    const [body, key] = [person(), randomUUID()];
    const first = await signUp(body, key).expect(201);
    const again = await signUp(body, key).expect(201);
    expect([again.text, again.headers['idempotent-replayed']]).toEqual([first.text, 'true']);
  });

  it('hashes nothing when its input is refused', async () => {
    expectProblem(await signUp({ ...person(), password: 'short' }).expect(422), 'validation-failed');
    expectProblem(await signUp({ ...person(), more: 1 }).expect(422), 'validation-failed');
    expect(mockBeforeHash).not.toHaveBeenCalled();
  });

  it('hashes nothing when there are too many', async () => {
    for (let status = 0; status !== 429;) status = (await signUp({})).status;
    expectProblem(await signUp(person()).expect(429), 'quota-exceeded');
    expect(mockBeforeHash).not.toHaveBeenCalled();
  });
});
