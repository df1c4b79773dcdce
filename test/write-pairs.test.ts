/** @servers any */
import { randomInt } from 'node:crypto';
import type { Response } from 'supertest';
import { startApp, type TestApp } from './support/app.ts';
import { findMistakes } from './support/books.ts';
import { fullCount } from './support/counts.ts';
import { crowd, signedInAgain } from './support/crowd.ts';
import { makers, type Person, uuidOf } from './support/make.ts';

// Every write of users and accounts beside every other, and beside itself, on the same rows: what comes of it is what comes of doing them
// one after the other, in one order or the other. The pairs grow with the square of the writes. A brief run asks those whose order tells and
// each write beside itself, which is where a lock that is missing shows, and each write beside four others, which are others in each run. All
// pairs are asked by `npm run prove -- test/write-pairs.test.ts`; a title names its pair.
const rounds = fullCount(1, 50);

let service: TestApp;
let operator: Person;
/** Gives each world its money. */
let giver: Person;
beforeAll(async () => {
  service = await startApp({ DATABASE_READ_CONSISTENCY: 'primary' });
  operator = await makers(service).operator();
  [giver] = (await crowd(service, 1, { balance: 1_000_000_000 })) as [Person];
});
afterAll(async () => {
  const mistakes = await findMistakes(service.database);
  await service.close();
  expect(mistakes).toEqual([]);
});

const eur = (amount: number) => ({ amount, currency: 'EUR' });

/** Two people whose accounts are always the same: A holds 100 of which 40 are pending to B, which holds 50; C is empty. */
interface World {
  readonly ada: Person;
  readonly bob: Person;
  /** Of Bob. */
  readonly emptyId: string;
  readonly pendingId: string;
  readonly postedId: string;
}

// In as few requests as can be: there are a thousand worlds.
async function makeWorld(): Promise<World> {
  const [ada, bob] = (await crowd(service, 2)) as [Person, Person];
  const move = async (from: Person, ...sent: [to: Person, amount: number, more?: object][]): Promise<string[]> => {
    const transfers = sent.map(([to, amount, more]) => ({
      fromAccountId: from.accountId,
      toAccountId: to.accountId,
      amount: eur(amount),
      ...more,
    }));
    const { body } = await from.api.post('/v1/transfers/batch', { mode: 'atomic', transfers }).expect(201);
    return body.data.map(({ transfer: { id } }: { transfer: { id: string } }) => id);
  };
  await move(giver, [ada, 120], [bob, 30]);
  const [postedId, pendingId] = await move(ada, [bob, 20], [bob, 40, { type: 'pending', expiresInSeconds: 3600 }]);
  const empty = await bob.api.post('/v1/accounts', { currency: 'EUR', name: 'Empty' }).expect(201);
  return { ada, bob, emptyId: empty.body.id, pendingId: pendingId!, postedId: postedId! };
}

type Write = (world: World) => PromiseLike<Response>;
const transfer = (from: Person, toAccountId: string, amount: number, more: object = {}) =>
  from.api.post('/v1/transfers', { fromAccountId: from.accountId, toAccountId, amount: eur(amount), ...more });
const batch = ({ ada, bob }: World, mode: string) =>
  ada.api.post('/v1/transfers/batch', {
    mode,
    transfers: [35, 20].map((amount) => ({
      fromAccountId: ada.accountId,
      toAccountId: bob.accountId,
      amount: eur(amount),
    })),
  });
const settings = ({ ada }: World, by: Person, patch: object) =>
  by.api.patch(`/v1/accounts/${ada.accountId}`, patch).set('if-match', '"1"');

const newEmail = ({ ada }: World) => `new-${ada.id}@example.com`;

const writes: Record<string, Write> = {
  signUp: (world) =>
    service.as().post('/v1/users', {
      email: newEmail(world),
      password: 'correct horse battery',
      profile: { displayName: 'Eve' },
    }),
  logIn: ({ ada: { email, password } }) => service.as().post('/v1/sessions', { email, password }),
  refreshSession: ({ ada: { refreshToken } }) => service.as().post('/v1/sessions/refresh', { refreshToken }),
  logOut: ({ ada }) => ada.api.delete('/v1/sessions/current'),
  endOtherSessions: ({ ada }) => ada.api.delete('/v1/sessions'),
  changePassword: ({ ada }) =>
    ada.api.post('/v1/users/me/password', { currentPassword: ada.password, newPassword: 'another horse' }),
  createPasswordReset: ({ ada }) => operator.api.post(`/v1/users/${ada.id}/password-resets`),
  changeAccess: ({ ada }) =>
    operator.api.patch(`/v1/users/${ada.id}/access`, { role: 'operator', reason: 'Helps out' }).set('if-match', '"1"'),
  endSessionsOf: ({ ada }) => operator.api.delete(`/v1/users/${ada.id}/sessions`),
  'editUser, the e-mail': ({ ada, ...world }) =>
    ada.api
      .patch(`/v1/users/${ada.id}`, { email: newEmail({ ada, ...world }), currentPassword: ada.password })
      .set('if-match', '"1"'),
  'editUser, the profile': ({ ada }) =>
    ada.api.patch(`/v1/users/${ada.id}`, { profile: { displayName: 'Edited' } }).set('if-match', '"1"'),
  openAccount: ({ ada }) => ada.api.post('/v1/accounts', { currency: 'EUR', name: 'Second' }),
  deposit: ({ ada }) => operator.api.post('/v1/deposits', { accountId: ada.accountId, amount: eur(30) }),
  transfer: ({ ada, bob }) => transfer(ada, bob.accountId, 50),
  previewTransfer: ({ ada, bob }) =>
    ada.api.post('/v1/transfers/preview', {
      fromAccountId: ada.accountId,
      toAccountId: bob.accountId,
      amount: eur(50),
    }),
  'transfer back': ({ ada, bob }) => transfer(bob, ada.accountId, 45),
  'transfer to the empty account': ({ ada, emptyId }) => transfer(ada, emptyId, 10),
  'pending transfer to the empty account': ({ ada, emptyId }) => transfer(ada, emptyId, 10, { type: 'pending' }),
  'pending transfer': ({ ada, bob }) => transfer(ada, bob.accountId, 30, { type: 'pending' }),
  postTransfer: ({ ada, pendingId }) => ada.api.post(`/v1/transfers/${pendingId}/post`, { amount: eur(25) }),
  voidTransfer: ({ ada, pendingId }) => ada.api.post(`/v1/transfers/${pendingId}/void`),
  voidTransfers: ({ bob, pendingId, postedId }) =>
    bob.api.post('/v1/transfers/void', { transferIds: [pendingId, postedId] }),
  reverseTransfer: ({ bob, postedId }) => bob.api.post(`/v1/transfers/${postedId}/reversals`, { amount: eur(15) }),
  'atomic batch': (world) => batch(world, 'atomic'),
  'partial batch': (world) => batch(world, 'partial'),
  'editAccount, its name': (world) => settings(world, world.ada, { name: 'Renamed' }),
  'editAccount, its limit': (world) => settings(world, operator, { overdraftLimit: eur(60) }),
  'editAccount, frozen': (world) => settings(world, operator, { frozen: true, reason: 'Looking into it' }),
  closeAccount: ({ bob, emptyId }) => bob.api.post(`/v1/accounts/${emptyId}/close`).set('if-match', '"1"'),
};

/** What can be told of an answer whose ids differ from world to world. */
const told = ({ status, body }: Response): string =>
  [
    status,
    body.code,
    // Each transfer of a batch.
    ...(body.object === 'transfer_batch' ? body.data : []).map(
      ({ refusal }: { refusal: { code: string } | null }) => refusal?.code ?? 'made',
    ),
  ].join(' ');

async function stateOf(world: World): Promise<unknown> {
  const { bob, emptyId, pendingId } = world;
  // Of a session of its own: some of the writes end all that there were.
  const ada = await signedInAgain(service, world.ada);
  const read = async ({ api }: Person, path: string) => (await api.get(path).expect(200)).body;
  const [{ data: ofAda }, { data: ofBob }, { email, profile, version }, { status }, sessions, namesakes] =
    await Promise.all([
      read(ada, '/v1/accounts'),
      read(bob, '/v1/accounts'),
      read(ada, `/v1/users/${ada.id}`),
      read(ada, `/v1/transfers/${pendingId}`),
      service.database.query(
        `SELECT end_reason, count(token.used_at) AS used, count(*) AS tokens FROM session JOIN refresh_token token ON session_id = session.id
        WHERE user_id = $1 GROUP BY session.id ORDER BY session.id`,
        [uuidOf(ada.id)],
      ),
      service.database.query('SELECT 1 FROM "user" WHERE email = $1', [newEmail(world)]),
    ]);
  const accounts = [ada.accountId, bob.accountId, emptyId].map((id) => {
    const account = [...ofAda, ...ofBob].find((one) => one.id === id);
    return ['balance', 'pending', 'available', 'status', 'version', 'name', 'overdraftLimit'].map(
      (key) => account[key],
    );
  });
  const changes = await service.database.query('SELECT kind FROM user_change WHERE user_id = $1 ORDER BY kind', [
    uuidOf(ada.id),
  ]);
  const people = { isOld: email === ada.email, changes, namesakes: namesakes.length, sessions };
  return { accounts, opened: ofAda.length, people, profile, version, pending: status };
}

async function outcomeOf(world: World, answers: readonly Response[]): Promise<string> {
  return JSON.stringify([answers.map(told), await stateOf(world)]);
}

async function inOrder(first: Write, second: Write): Promise<[outcome: string, turned: string]> {
  const world = await makeWorld();
  const answers = [await first(world), await second(world)];
  const state = await stateOf(world);
  return [JSON.stringify([answers.map(told), state]), JSON.stringify([answers.map(told).toReversed(), state])];
}

/** Pairs that come out differently in one order and in the other, with what only one of the two orders answers. */
const telling = [
  ['postTransfer', 'voidTransfer', '409 already-posted'],
  ['editUser, the e-mail', 'signUp', '409 email-taken'],
  ['editUser, the e-mail', 'logIn', '401 wrong-credentials'],
  ['logOut', 'refreshSession', '401 invalid-refresh-token'],
  ['transfer', 'atomic batch', '422 insufficient-funds'],
  ['editAccount, frozen', 'deposit', '409 account-frozen'],
  ['transfer to the empty account', 'closeAccount', '409 balance-not-zero'],
] as const;

const names = Object.keys(writes);
const allPairs = names
  .flatMap((one, n) => names.slice(n).map((other) => [one, other] as const))
  .map(([one, other], n) => [one, other, n] as const);

/** The distances at which two writes stand in the ring of all; those of one distance are every write beside two others. */
const distances = Math.floor(names.length / 2);
const drawn = randomInt(distances);
const askedDistances = [0, 1 + drawn, 1 + ((drawn + 1) % distances)];
const pairs = allPairs.filter(([one, other]) => {
  const apart = names.indexOf(other) - names.indexOf(one);
  return (
    fullCount(0, 1) === 1 ||
    askedDistances.includes(Math.min(apart, names.length - apart)) ||
    telling.some(([a, b]) => (a === one && b === other) || (a === other && b === one))
  );
});

it.each(pairs)('%s beside %s', async (one, other, n) => {
  const [first, second] = [writes[one]!, writes[other]!];
  const outcomes = new Set<string>();
  for (let round = 0; round < rounds; round++) {
    const world = await makeWorld();
    // Whoever is asked first is not always the first to arrive.
    const answers =
      (n + round) % 2 === 0
        ? await Promise.all([first(world), second(world)])
        : (await Promise.all([second(world), first(world)])).toReversed();
    outcomes.add(await outcomeOf(world, answers));
  }
  const [oneFirst] = await inOrder(first, second);
  outcomes.delete(oneFirst);
  // In most pairs there is but one outcome.
  if (outcomes.size > 0) expect([...outcomes]).toEqual([(await inOrder(second, first))[1]]);
});

it.each(telling)('the orders of %s and %s differ: %s', async (one, other, answer) => {
  const [outcome] = await inOrder(writes[one]!, writes[other]!);
  expect(outcome).toContain(answer);
  expect((await inOrder(writes[other]!, writes[one]!))[1]).not.toBe(outcome);
});
