import type { Response } from 'supertest';
import { startApp, type TestApp } from './support/app.ts';
import { casesOf, type Preparation, type World } from './support/cases.ts';
import { makeWorld, requestsIn, wanted } from './support/requests.ts';
import { type Figures, isStatementPage, readStatementPage, writeStatementPage } from './support/statement-pages.ts';
import { recordStatements, type Statement } from './support/statements.ts';

// What each endpoint costs in statements, BEGIN and COMMIT among them, and in round trips: messages to the server that are waited for, of
// which those that go on several connections at once count each. docs/statements.md shows it; `npm run statements` writes that page.

let service: TestApp;
let world: World;
let requests: Awaited<ReturnType<typeof requestsIn>>;

beforeAll(async () => {
  // What is one's own is read by one look at the session for as long: none of it is the endpoint's.
  service = await startApp({ AUTH_RECHECK_SECONDS: '60' });
  world = await makeWorld(service);
  requests = await requestsIn(world);
  // The service asks once for the accounts of the house, and once for whose an account is.
  const { alice, bob, make, skus } = world;
  await make.order(alice, [skus[0]!.id]);
  const transfer = {
    fromAccountId: alice.accountId,
    toAccountId: bob.accountId,
    amount: { amount: 5, currency: 'EUR' },
  };
  await alice.api.post('/v1/transfers', transfer).expect(201);
});
afterAll(() => service.close());

/** The statements that a request sends. */
async function statementsOf(ask: () => PromiseLike<Response>, endpoint = ''): Promise<Statement[]> {
  // The first read after a write also asks the replica how far it is: that is over before we count.
  await world.alice.api.get('/v1/users/me').expect(200);
  await world.alice.api.get('/v1/users/me').expect(200);
  const statements = recordStatements({ isFar: true });
  const { status, body } = await ask();
  statements.stop();
  if (status >= 300) throw new Error(`${endpoint}: ${status} ${JSON.stringify(body)}. ${wanted('measured', endpoint)}`);
  return statements.take().filter(({ text }) => text.startsWith('COMMIT') || !isOfTheMoment.test(text));
}
// A replica that is slow today is asked again for its position, the id of a transaction where its answer is still on the way, and the server
// is told anew what time is left when some has passed, and a statement that leaves before BEGIN is answered demands a transaction: none of
// it is the endpoint's. Whose session is going on is asked once for all who ask.
const isOfTheMoment =
  /^SELECT s\.id, u\.role|_lsn\(|^SELECT pg_current_xact_id_if_assigned|^SET LOCAL statement_timeout = \d+$|^SAVEPOINT begun; RELEASE SAVEPOINT begun(?:; SET LOCAL statement_timeout = \d+)?$/;

/** What is measured, by endpoint: what its module says, or what openapi.json shows. */
function preparations(): Record<string, Preparation> {
  const given = casesOf('measured');
  const all: Record<string, Preparation> = { 'GET /livez': async () => () => service.as().get('/livez') };
  for (const operation of requests.operations) {
    const endpoint = operation.name.replaceAll(/\{(\w+)\}/g, ':$1');
    const said = Object.entries(given).filter(([name]) => name === endpoint || name.startsWith(`${endpoint}, `));
    const isReplaced = said.some(([name]) => name === endpoint) || operation.method !== 'get';
    if (!isReplaced || said.length === 0) all[endpoint] = async () => (await requests.derive(operation)).send;
    Object.assign(all, Object.fromEntries(said));
  }
  expect(Object.keys(given).filter((name) => !(name in all))).toEqual([]);
  return all;
}

/** Each figure that is not the page's, in words. */
function differences(shown: Readonly<Record<string, Figures>>, measured: Readonly<Record<string, Figures>>): string[] {
  const say = (figures?: Figures): string => (figures === undefined ? 'nothing' : figures.join(' in '));
  return [...new Set([...Object.keys(measured), ...Object.keys(shown)])]
    .filter((endpoint) => say(shown[endpoint]) !== say(measured[endpoint]))
    .map((endpoint) => {
      const figures = `measured ${say(measured[endpoint])}, docs/statements.md shows ${say(shown[endpoint])}`;
      return `${endpoint}: ${figures}. If this is meant, run: npm run statements`;
    });
}

it('each endpoint sends just as many statements, in as many round trips, as docs/statements.md shows', async () => {
  const measured: Record<string, Figures> = {};
  for (const [endpoint, prepare] of Object.entries(preparations())) {
    const statements = await statementsOf(await prepare(world), endpoint);
    measured[endpoint] = [statements.length, new Set(statements.map(({ trip }) => trip)).size];
  }
  if (process.env['STATEMENTS'] === 'write') writeStatementPage(measured);
  expect(differences(readStatementPage(), measured)).toEqual([]);
  if (!isStatementPage(measured))
    throw new Error('docs/statements.md has another form or order. Run: npm run statements');
});

it('a page of any list costs the same whatever its size', async () => {
  for (const list of requests.lists) {
    const { api, path } = await requests.derive(list);
    for (let i = 0; i < 6; i++) await requests.addTo(list, path);
    const small = await statementsOf(() => api.get(`${path}?limit=1`));
    // Of 26 rows and more some are read after the others: test/pages.test.ts.
    const large = await statementsOf(() => api.get(`${path}?limit=25`));
    expect((await api.get(`${path}?limit=25`)).body.data.length).toBeGreaterThan(5);
    expect([list.name, large.length]).toEqual([list.name, small.length]);
  }
  expect(requests.lists.length).toBeGreaterThan(3);
});

it('a read costs no transaction, and a boundary no more than its BEGIN and COMMIT', async () => {
  const statements = await statementsOf(() => service.as().get(`/v1/skus/${world.skus[0]!.id}/stock`));
  expect(statements).toHaveLength(1);
  const edit = () =>
    world.operator.api.patch(`/v1/skus/${world.skus[0]!.id}`, { name: 'Another' }).set('if-match', '*');
  const written = (await statementsOf(edit)).map(({ text }) => text);
  expect([written[0], written.at(-1)]).toEqual([expect.stringMatching(/^BEGIN; /), expect.stringMatching(/^COMMIT/)]);
  expect(written.filter((text) => /^(BEGIN|COMMIT|ROLLBACK|SET|SAVEPOINT|RELEASE)/.test(text))).toHaveLength(2);
});
