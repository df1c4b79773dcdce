/** @servers any */
import type { Response } from 'supertest';
import { networkOf } from '../src/http/limits/address.ts';
import { SlowLane } from '../src/http/limits/slow-lane.ts';
import { api, type Api, serve, startApp, type TestApp, type Variables } from './support/app.ts';
import { atOnce } from './support/crowd.ts';
import { makers, type Person } from './support/make.ts';
import { expectProblem } from './support/problem.ts';

let service: TestApp;
let ada: Person;
let bob: Person;
beforeAll(async () => {
  service = await startApp();
  const make = makers(service);
  [ada, bob] = [await make.user(), await make.user()];
});
afterAll(() => service.close());

/** The same service with quotas that can be reached, for as long as the work takes; each address is as the test says. */
async function limited(variables: Variables, work: (as: (token?: string) => Api) => Promise<void>) {
  const { app, url } = await serve(service.database, { HTTP_TRUSTED_PROXIES: '127.0.0.0/8', ...variables });
  await work((token?: string) => api(url, token)).finally(() => app.close());
}

const failed = (email: string) => ({ email, password: 'wrong password' });
const right = ({ email, password }: Person) => ({ email, password });
const from = (as: (token?: string) => Api, address: string, body: object) =>
  as().post('/v1/sessions', body).set('x-forwarded-for', address);

function expectRefusal(response: Response, policy: string): void {
  expect(response.status).toBe(429);
  expectProblem(response, 'quota-exceeded');
  expect(response.body['violated-policies']).toEqual([policy]);
  expect(Number(response.headers['retry-after'])).toBeGreaterThan(0);
}

describe('log-ins are counted', () => {
  it('for each e-mail address from one address, however it is written, also when the password is right', () =>
    limited({ RATE_LIMIT_LOG_INS_PER_PAIR: '2' }, async (as) => {
      const first = await as().post('/v1/sessions', failed(ada.email)).expect(401);
      expect(first.headers['ratelimit-policy']).toBe(
        '"address";q=1000000000;w=60, "log-in-address";q=1000000000;w=60, "log-in-pair";q=2;w=60, "log-in-email";q=1000000000;w=60',
      );
      await as()
        .post('/v1/sessions', failed(` ${ada.email.toUpperCase()}`))
        .expect(401);
      expectRefusal(await as().post('/v1/sessions', right(ada)), 'log-in-pair');
      await as().post('/v1/sessions', failed(bob.email)).expect(401);
    }));

  it('for each address from which they are tried, whoever tries', () =>
    limited({ RATE_LIMIT_LOG_INS_PER_ADDRESS: '2' }, async (as) => {
      await as().post('/v1/sessions', failed('one@example.com')).expect(401);
      await as(ada.token).post('/v1/sessions', failed('two@example.com')).expect(401);
      expectRefusal(await as().post('/v1/sessions', failed('three@example.com')), 'log-in-address');
      await as().get('/v1/products').expect(200);
    }));
});

describe('nobody is locked out', () => {
  const quotas = {
    RATE_LIMIT_LOG_INS_PER_ADDRESS: '5',
    RATE_LIMIT_LOG_INS_PER_PAIR: '3',
    RATE_LIMIT_LOG_INS_PER_EMAIL: '4',
  };

  it('by a stranger who guesses from another address', () =>
    limited(quotas, async (as) => {
      for (let n = 0; n < 4; n++) await from(as, '192.0.2.1', failed(ada.email)).expect(n < 3 ? 401 : 429);
      await from(as, '192.0.2.2', right(ada)).expect(201);
    }));

  it(
    'by strangers who guess from many addresses: beyond the bound of the e-mail everybody waits for their turn',
    () =>
      limited(quotas, async (as) => {
        for (let n = 1; n <= 4; n++) await from(as, `192.0.2.${n}`, failed(ada.email)).expect(401);
        const [flood, own, greedy] = await Promise.all([
          atOnce(4, (n) => from(as, `192.0.2.${n + 10}`, failed(ada.email))),
          from(as, '198.51.100.1', right(ada)),
          atOnce(3, () => from(as, '203.0.113.1', failed(ada.email))),
        ]);
        expect(own.status).toBe(201);
        expect(flood.map(({ status }) => status)).toEqual([401, 401, 401, 401]);
        // Each address has one place to wait in.
        const refused = greedy.filter(({ status }) => status !== 401);
        expect(refused.length).toBeGreaterThan(0);
        for (const answer of refused) expectProblem(answer, 'temporary-reduced-capacity');
      }),
    30_000,
  );

  it('by who is at the same address, on a device on which they were logged in before', () =>
    limited(quotas, async (as) => {
      const { deviceToken } = (await from(as, '192.0.2.1', right(ada)).expect(201)).body;
      for (let n = 0; n < 6; n++) await from(as, '192.0.2.1', failed(ada.email));
      expectRefusal(await from(as, '192.0.2.1', right(ada)), 'log-in-address');
      await from(as, '192.0.2.1', { ...right(ada), deviceToken }).expect(201);
      // Of that person only, and counted as well.
      expectRefusal(await from(as, '192.0.2.1', { ...right(bob), deviceToken }), 'log-in-address');
      expectRefusal(await from(as, '192.0.2.1', { ...right(ada), deviceToken: `${deviceToken}x` }), 'log-in-address');
      for (let n = 0; n < 2; n++) await from(as, '192.0.2.1', { ...failed(ada.email), deviceToken }).expect(401);
      expectRefusal(await from(as, '192.0.2.1', { ...right(ada), deviceToken }), 'log-in-device');
    }));

  it('and the mark of a device opens nothing', () =>
    limited({}, async (as) => {
      const { deviceToken } = (await from(as, '192.0.2.1', right(ada)).expect(201)).body;
      await as(deviceToken).get('/v1/users/me').expect(401);
      await as().post('/v1/sessions/refresh', { refreshToken: deviceToken }).expect(401);
      await from(as, '192.0.2.1', { ...failed(ada.email), deviceToken }).expect(401);
    }));
});

describe('sign-ups are counted', () => {
  it('for each address from which they come', () =>
    limited({ RATE_LIMIT_SIGN_UPS_PER_ADDRESS: '2' }, async (as) => {
      const signUp = (address: string) => as().post('/v1/users', {}).set('x-forwarded-for', address);
      for (let n = 0; n < 2; n++) await signUp('192.0.2.1').expect(422);
      expectRefusal(await signUp('192.0.2.1'), 'sign-up-address');
      await signUp('192.0.2.2').expect(422);
    }));
});

describe('tries of the present password are counted', () => {
  it('for each user, whichever route asks for it', () =>
    limited({ RATE_LIMIT_PASSWORDS_PER_USER: '2' }, async (as) => {
      const change = (token: string) =>
        as(token).post('/v1/users/me/password', { currentPassword: 'wrong one', newPassword: 'another horse' });
      await change(bob.token).expect(422);
      const patch = { email: 'other@example.com', currentPassword: 'wrong one' };
      await as(bob.token).patch(`/v1/users/${bob.id}`, patch).set('if-match', '*').expect(422);
      expectRefusal(await change(bob.token), 'password');
      await change(ada.token).expect(422);
      await as(bob.token).patch(`/v1/users/${bob.id}`, { profile: {} }).set('if-match', '*').expect(200);
    }));
});

describe('the lane of those who are slowed down', () => {
  it('lets one go at a time, gives each address one place, and refuses who would wait too long', async () => {
    const lane = new SlowLane(50, 120);
    const order: string[] = [];
    const wait = async (key: string, address: string) => {
      const isThrough = await lane.wait(key, address);
      order.push(`${key}${address} ${isThrough}`);
    };
    await Promise.all([wait('a', '1'), wait('a', '2'), wait('a', '2'), wait('a', '3'), wait('a', '4'), wait('b', '2')]);
    expect(order.toSorted()).toEqual(['a1 true', 'a2 false', 'a2 true', 'a3 true', 'a4 false', 'b2 true']);
    expect(order.indexOf('a1 true')).toBeLessThan(order.indexOf('a2 true'));
    expect(order.indexOf('a2 true')).toBeLessThan(order.indexOf('a3 true'));
  });

  it.each([
    ['192.0.2.1', '192.0.2.1'],
    ['2001:db8:1:2:3:4:5:6', '2001:db8:1:2::/64'],
    ['2001:db8::1', '2001:db8:0:0::/64'],
    ['::1', '0:0:0:0::/64'],
    ['fe80::1%eth0', 'fe80:0:0:0::/64'],
    ['2001:0DB8:0001:2::', '2001:db8:1:2::/64'],
    ['::ffff:192.0.2.1', '::ffff:192.0.2.1'],
  ])('of %s is the network %s', (address, network) => {
    expect(networkOf(address)).toBe(network);
  });
});
