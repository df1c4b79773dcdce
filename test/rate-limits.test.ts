/** @servers any */
import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';
import type { Response } from 'supertest';
import { api, type Api, serve, startApp, type TestApp, type Variables } from './support/app.ts';
import { makers, type Person, uuidOf } from './support/make.ts';
import { expectProblem } from './support/problem.ts';

let service: TestApp;
let ada: Person;
let bob: Person;
beforeAll(async () => {
  service = await startApp();
  const make = makers(service);
  [ada, bob] = [await make.user({ balance: 1000 }), await make.user()];
});
afterAll(() => service.close());

/** The same service with quotas that can be reached, for as long as the work takes. */
async function limited(variables: Variables, work: (as: (token?: string) => Api) => Promise<void>) {
  const { app, url } = await serve(service.database, variables);
  await work((token?: string) => api(url, token)).finally(() => app.close());
}

const fields = ({ headers }: Response) => [headers['ratelimit-policy'], headers['ratelimit']];
/** That this is the refusal of a request that was one too many under the policy. */
function expectRefusal(response: Response, policy: string): void {
  expect(response.status).toBe(429);
  expectProblem(response, 'quota-exceeded');
  expect(response.body['violated-policies']).toEqual([policy]);
  const [, seconds] = new RegExp(`"${policy}";r=0;t=(\\d+)`).exec(response.headers['ratelimit'] ?? '') ?? [];
  expect(response.headers['retry-after']).toBe(seconds);
  expect(Number(seconds)).toBeGreaterThan(0);
  expect(Number(seconds)).toBeLessThanOrEqual(60);
}

const forged = 'eyJhbGciOiJIUzI1NiJ9.e30.e30';

describe('requests are counted', () => {
  it('for each user who is signed in, wherever they ask, and for nobody else', () =>
    limited({ RATE_LIMIT_PER_PRINCIPAL: '3', RATE_LIMIT_PER_ADDRESS: '2' }, async (as) => {
      const paths = ['/v1/users/me', '/v1/products', '/v1/nothing'];
      for (const [index, path] of paths.entries()) {
        const response = await as(ada.token).get(path);
        expect(response.status).toBe(index === 2 ? 404 : 200);
        expect(fields(response)).toEqual(['"principal";q=3;w=60', `"principal";r=${2 - index};t=60`]);
      }
      expectRefusal(await as(ada.token).get('/v1/users/me'), 'principal');
      await as(bob.token).get('/v1/users/me').expect(200);
      await as().get('/v1/products').expect(200);
    }));

  it('for each address where nobody is signed in, also of those who try', () =>
    limited({ RATE_LIMIT_PER_ADDRESS: '3' }, async (as) => {
      const first = await as().get('/v1/products').expect(200);
      expect(fields(first)).toEqual(['"address";q=3;w=60', '"address";r=2;t=60']);
      await as(forged).get('/v1/users/me').expect(401);
      await as().post('/v1/users').expect(422);
      expectRefusal(await as(forged).get('/v1/users/me'), 'address');
      expectRefusal(await as().get('/v1/products'), 'address');
      // Before the body is read: it would be 400.
      expectRefusal(await as().post('/v1/users').type('json').send('{'), 'address');
      await as(ada.token).get('/v1/users/me').expect(200);
    }));

  it('and refused without having done anything', () =>
    limited({ RATE_LIMIT_PER_PRINCIPAL: '1' }, async (as) => {
      const account = { name: 'Counted', currency: 'EUR' };
      const { headers } = await as(bob.token).post('/v1/accounts', account).expect(201);
      expectRefusal(await as(bob.token).post('/v1/accounts', account), 'principal');
      // On another instance: with the token, or its replica may be behind.
      const token = headers['consistency-token'] as string;
      const { body } = await bob.api.get('/v1/accounts').set('consistency-token', token).expect(200);
      expect(body.data.filter(({ name }: { name: string }) => name === 'Counted')).toHaveLength(1);
    }));

  it('again from the start when the window is over', () =>
    limited({ RATE_LIMIT_PER_ADDRESS: '1', RATE_LIMIT_WINDOW_SECONDS: '1' }, async (as) => {
      await as().get('/v1/products').expect(200);
      const refused = await as().get('/v1/products').expect(429);
      expect(refused.headers['retry-after']).toBe('1');
      await sleep(1050);
      await as().get('/v1/products').expect(200);
    }));

  it('unless they are probes', () =>
    limited({ RATE_LIMIT_PER_ADDRESS: '1', HTTP_MAX_IN_FLIGHT: '1' }, async (as) => {
      for (const path of ['/livez', '/readyz', '/startupz', '/livez?verbose'])
        for (let i = 0; i < 3; i++) {
          const { headers } = await as().get(path).expect(200);
          expect(headers).not.toHaveProperty('ratelimit');
        }
      await as().get('/v1/products').expect(200);
      await as().get('/v1/products').expect(429);
      await as().get('/livez').expect(200);
    }));

  it('by the address that a trusted proxy names, and by that of no other', async () => {
    const from = (address: string) => (test: ReturnType<ReturnType<typeof api>['get']>) =>
      test.set('x-forwarded-for', address);
    await limited({ RATE_LIMIT_PER_ADDRESS: '1', HTTP_TRUSTED_PROXIES: '127.0.0.0/8' }, async (as) => {
      await from('192.0.2.1')(as().get('/v1/products')).expect(200);
      await from('192.0.2.2')(as().get('/v1/products')).expect(200);
      await from('192.0.2.1')(as().get('/v1/products')).expect(429);
      // A person has a network of IPv6 addresses.
      await from('2001:db8::1')(as().get('/v1/products')).expect(200);
      await from('2001:db8::2')(as().get('/v1/products')).expect(429);
      await from('2001:db8:0:1::1')(as().get('/v1/products')).expect(200);
    });
    await limited({ RATE_LIMIT_PER_ADDRESS: '1' }, async (as) => {
      await from('192.0.2.1')(as().get('/v1/products')).expect(200);
      await from('192.0.2.2')(as().get('/v1/products')).expect(429);
    });
  });

  it('of so many callers at a time: who has not been seen longest is forgotten', () =>
    limited(
      { RATE_LIMIT_PER_ADDRESS: '1', RATE_LIMIT_MAX_KEYS: '2', HTTP_TRUSTED_PROXIES: '127.0.0.1' },
      async (as) => {
        const statusFrom = async (address: string) =>
          (await as().get('/v1/products').set('x-forwarded-for', address)).status;
        expect([await statusFrom('192.0.2.1'), await statusFrom('192.0.2.2')]).toEqual([200, 200]);
        expect([await statusFrom('192.0.2.1'), await statusFrom('192.0.2.2')]).toEqual([429, 429]);
        expect(await statusFrom('192.0.2.3')).toBe(200);
        expect([await statusFrom('192.0.2.2'), await statusFrom('192.0.2.1')]).toEqual([429, 200]);
      },
    ));
});

describe('of the requests that are answered at once', () => {
  it('those beyond the bound are refused, and others come in when one has left', async () => {
    const holder = new pg.Client({ connectionString: service.database.urls.owner });
    await holder.connect();
    await limited({ HTTP_MAX_IN_FLIGHT: '2' }, async (as) => {
      await holder.query('BEGIN');
      await holder.query('SELECT FROM account WHERE id = $1 FOR UPDATE', [uuidOf(ada.accountId)]);
      const transfer = {
        fromAccountId: ada.accountId,
        toAccountId: bob.accountId,
        amount: { amount: 1, currency: 'EUR' },
      };
      const waiting = [1, 2].map(() =>
        as(ada.token)
          .post('/v1/transfers', transfer)
          .then(({ status }) => status),
      );
      let refused: Response;
      for (const deadline = Date.now() + 3000; ; await sleep(10)) {
        refused = await as().get('/v1/products');
        if (refused.status === 503 || Date.now() > deadline) break;
      }
      expect(refused.status).toBe(503);
      expectProblem(refused, 'temporary-reduced-capacity');
      expect(refused.headers['retry-after']).toBe('1');
      await as().get('/readyz').expect(200);
      await holder.query('ROLLBACK');
      expect(await Promise.all(waiting)).toEqual([201, 201]);
      for (let i = 0; i < 5; i++) await as().get('/v1/products').expect(200);
    }).finally(() => holder.end());
  });

  it('none is counted for ever: neither one that was refused, nor one whose caller went away', () =>
    limited({ HTTP_MAX_IN_FLIGHT: '1' }, async (as) => {
      for (let i = 0; i < 3; i++) {
        await as().post('/v1/users').type('json').send('{').expect(400);
        await as().get('/v1/nothing').expect(404);
        const { protocol, host } = new URL((await as().get('/v1/products')).request.url);
        await fetch(`${protocol}//${host}/v1/users`, {
          method: 'POST',
          headers: { 'content-type': 'application/json' },
          body: new ReadableStream({ start: (controller) => controller.enqueue(new TextEncoder().encode('{')) }),
          signal: AbortSignal.timeout(30),
          duplex: 'half',
        } as RequestInit).catch(() => undefined);
        await sleep(30);
        await as().get('/v1/products').expect(200);
      }
    }));
});
