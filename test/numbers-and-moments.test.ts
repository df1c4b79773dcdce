/** @servers any */
import { ConfigError, readEnvironment } from '../src/config/environment.ts';
import { newId, showId } from '../src/kernel/ids.ts';
import { startApp, type TestApp } from './support/app.ts';
import { makers, type Person } from './support/make.ts';
import { expectProblem } from './support/problem.ts';

let service: TestApp;
let ada: Person;
let bob: Person;
beforeAll(async () => {
  service = await startApp();
  const make = makers(service);
  [ada, bob] = [await make.user({ balance: 10_000 }), await make.user()];
});
afterAll(() => service.close());

const pointers = (body: { errors: { pointer: string }[] }): string[] => body.errors.map(({ pointer }) => pointer);
const transfer = (amount: string, more = '') =>
  ada.api
    .post('/v1/transfers')
    .send(undefined)
    .type('json')
    .send(
      `{"fromAccountId":"${ada.accountId}","toAccountId":"${bob.accountId}","amount":{"amount":${amount},"currency":"EUR"}${more}}`,
    );

describe('a whole number in a body', () => {
  it.each([
    '10.000000000000000001',
    '10.0',
    '1e1',
    '1E1',
    '5e2',
    '1e0',
    '100e-1',
    '0.5',
    '9.999999999999999999',
    '-1.0',
  ])('is not written as %s', async (amount) => {
    const response = await transfer(amount).expect(422);
    expectProblem(response, 'validation-failed');
    expect(pointers(response.body)).toEqual(['/amount/amount']);
  });

  it.each(['01', '+1', '0x10', '.5', '1_000', '١'])('is no JSON as %s', async (amount) => {
    expectProblem(await transfer(amount).expect(400), 'malformed-json');
  });

  it('is pointed to wherever it stands, and only where it stands', async () => {
    const text = '{"1.5":"1.5e3","a\\"1e1":[0,{"b":[1,2.0]},"\\\\"],"c":"2.5"}';
    const { body } = await ada.api.post('/v1/transfers').send(undefined).type('json').send(text).expect(422);
    expect(pointers(body)).toEqual(['/a"1e1/1/b/1']);
  });

  it('is taken in digits alone', async () => {
    await transfer('10').expect(201);
  });
});

describe('a whole number in a query', () => {
  it.each(['0x10', '1e1', '1.0', '%2B1', '-1', '%201', '1%20', '01', '1_0', '٣', '', '1.', 'Infinity', '0b1'])(
    'is not written as %s',
    async (limit) => {
      for (const path of ['/v1/products', '/v1/accounts', '/v1/orders', '/v1/transfers'])
        expectProblem(await ada.api.get(`${path}?limit=${limit}`).expect(422), 'validation-failed');
    },
  );
});

describe('a number in the environment', () => {
  const ports = ['0x10', '1e3', '3000.0', '+3000', ' 3000', '3000 ', '03000', '-1', 'true', '3_000'];
  it.each(ports)('is not written as %j', (port) => {
    const read = () => readEnvironment({ PORT: port });
    expect(read).toThrow(ConfigError);
    expect(read).toThrow('PORT must be');
  });
});

describe('a moment', () => {
  const asOf = (text: string) => ada.api.get(`/v1/accounts/${ada.accountId}?asOf=${encodeURIComponent(text)}`);

  it.each([
    '0000-01-01T00:00:00Z',
    '0000-12-31T23:59:59.999Z',
    '0001-01-01T00:00:00+00:01',
    '0001-01-01T00:00:00+23:59',
    '9999-12-31T23:59:59-00:01',
    '9999-12-31T23:59:59.999-23:59',
  ])('that results beyond the years that there are is refused: %s', async (text) => {
    const response = await asOf(text).expect(422);
    expectProblem(response, 'validation-failed');
    expect(response.body.errors[0].parameter).toBe('asOf');
  });

  it.each([
    '0001-01-01T00:00:00Z',
    '0000-12-31T23:00:00-01:00',
    '1582-10-10T00:00:00Z',
    '9999-12-31T23:59:59.999Z',
    '2026-11-21T09:30:00.123456789Z',
  ])('at the edge of them is taken: %s', async (text) => {
    await asOf(text).expect(200);
  });
});

describe('the moment in an id of a transfer that a client has made', () => {
  /** Of this many seconds from now. */
  const idOf = (seconds: number): string => {
    const time = (Date.now() + seconds * 1000).toString(16).padStart(12, '0');
    return showId('tr', `${time.slice(0, 8)}-${time.slice(8)}${newId().slice(13)}`);
  };
  const body = (id: string) => ({
    id,
    fromAccountId: ada.accountId,
    toAccountId: bob.accountId,
    amount: { amount: 1, currency: 'EUR' },
  });
  const transfers: Record<string, (id: string) => [path: string, body: object, pointer: string]> = {
    alone: (id) => ['/v1/transfers', body(id), '/id'],
    previewed: (id) => ['/v1/transfers/preview', body(id), '/id'],
    'in a batch': (id) => ['/v1/transfers/batch', { mode: 'partial', transfers: [body(id)] }, '/transfers/0/id'],
  };

  it.each(Object.entries(transfers))(
    'is refused where it is yet to come, as lists are sorted by it: %s',
    async (_, of) => {
      for (const seconds of [400, 100 * 365 * 86_400]) {
        const [path, refused, pointer] = of(idOf(seconds));
        const response = await ada.api.post(path, refused).expect(422);
        expectProblem(response, 'validation-failed');
        expect(pointers(response.body)).toEqual([pointer]);
      }
      for (const seconds of [200, -86_400]) {
        const [path, taken] = of(idOf(seconds));
        expect((await ada.api.post(path, taken)).status).toBeLessThan(300);
      }
    },
  );
});
