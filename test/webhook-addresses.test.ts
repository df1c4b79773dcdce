/** @servers any */
import type { LookupAddress } from 'node:dns';
import { makeConfig } from '../src/config/config.ts';
import { readEnvironment } from '../src/config/environment.ts';
import { isPublic, WebhookAddresses } from '../src/modules/webhooks/webhook-addresses.ts';
import type { LeasedWebhook } from '../src/modules/webhooks/webhook-delivery.ts';
import { pauseAfter } from '../src/modules/webhooks/webhook-retries.ts';
import { WebhookSecrets } from '../src/modules/webhooks/webhook-secrets.ts';
import { WebhookSender } from '../src/modules/webhooks/webhook-sender.ts';
import { testSecret } from './support/secret.ts';
import { type Receiver, startReceiver } from './support/webhook-receiver.ts';

const configOf = (variables: Record<string, string>) =>
  makeConfig(
    readEnvironment({
      DATABASE_WRITE_URL: 'postgresql://app@host/shop',
      AUTH_SECRET: testSecret,
      ...variables,
    }) as Parameters<typeof makeConfig>[0],
  );
const endpointId = '01a1fbe4-cc8b-7000-9287-282254c2d3bc';

/** A sender whose look-ups are answered by the test. */
function senderWith(privateAddresses: 'allow' | 'refuse', resolve?: (host: string) => LookupAddress[]) {
  const config = configOf({ WEBHOOK_PRIVATE_ADDRESSES: privateAddresses, WEBHOOK_TIMEOUT_MS: '500' });
  const addresses = new WebhookAddresses(config.webhooks);
  if (resolve !== undefined) addresses.resolve = async (host) => resolve(host);
  const secrets = new WebhookSecrets(config.auth);
  const sender = new WebhookSender(addresses, secrets, config.webhooks);
  const webhook = (url: string): LeasedWebhook => ({
    endpointId,
    lease: endpointId,
    url,
    secret: secrets.make(endpointId).stored,
    previousSecret: null,
    deliveryId: endpointId,
    body: '{}',
    tries: 0,
    takenAt: new Date(0),
  });
  return { send: (url: string) => sender.send(webhook(url)), addresses };
}

let receiver: Receiver;
beforeAll(async () => {
  receiver = await startReceiver();
});
afterAll(() => receiver.close());

describe('an address', () => {
  it.each([
    ...['0.0.0.0', '0.1.2.3', '10.0.0.1', '100.64.0.1', '100.100.100.200', '127.0.0.1', '127.8.8.8', '169.254.169.254'],
    ...['172.16.0.1', '172.31.255.255', '192.0.0.192', '192.168.1.1', '198.18.0.1', '224.0.0.1', '240.0.0.1'],
    ...['255.255.255.255', '168.63.129.16', '::', '::1', '::ffff:8.8.8.8', '::ffff:127.0.0.1', '::127.0.0.1'],
    ...['64:ff9b::7f00:1', '64:ff9b:1::1', 'fe80::1', 'fc00::1', 'fd00:ec2::254', 'ff02::1', '2002:7f00:1::'],
    ...['2001:db8::1', '2001::1', '100::1', 'nonsense', ''],
  ])('%s is not public', (address) => {
    expect(isPublic(address)).toBe(false);
  });

  it.each(['8.8.8.8', '172.32.0.1', '100.128.0.1', '2606:4700::1111', '2a00:1450:4001:81c::200e'])(
    '%s is',
    (address) => {
      expect(isPublic(address)).toBe(true);
    },
  );
});

describe('where private addresses are refused', () => {
  it.each([
    ['a name of which one address is private', 'https://shop.example/', ['8.8.8.8', '10.0.0.1']],
    ['a name with no address', 'https://shop.example/', []],
    ['a literal address', 'https://127.0.0.1/', []],
    ['a decimal one', 'https://2130706433/', []],
    ['an octal one', 'https://0177.0.0.1/', []],
    ['a hexadecimal one', 'https://0x7f.0x1/', []],
    ['one with a dot behind it', 'https://127.0.0.1./', []],
    ['one of IPv6', 'https://[::1]/', []],
    ['a mapped one', 'https://[::ffff:127.0.0.1]/', []],
  ])('%s is sent nothing', async (_, url, found) => {
    const { send } = senderWith('refuse', () => found.map((address) => ({ address, family: 4 })));
    expect(await send(url)).toMatchObject({ status: null, error: 'AddressRefusedError' });
  });
});

describe('a name', () => {
  it('is looked up once for each request: what it stands for a moment later is not connected to', async () => {
    // The second look, which there must not be, would find whoever listens here.
    let looks = 0;
    const { send } = senderWith('allow', () =>
      looks++ === 0 ? [{ address: '127.0.0.2', family: 4 }] : [{ address: '127.0.0.1', family: 4 }],
    );
    const outcome = await send(`http://localhost:${receiver.port}/rebound`);
    expect([looks, outcome.error, receiver.at('/rebound')]).toEqual([1, 'ECONNREFUSED', []]);
  });

  it('whose look-up hangs is given the time of the request', async () => {
    const { send, addresses } = senderWith('allow');
    addresses.resolve = () => new Promise(() => undefined);
    expect(await send('http://shop.example/')).toMatchObject({ status: null, error: 'timeout' });
  });
});

describe('a response', () => {
  it.each([
    ['that switches protocols', 'HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: other\r\n\r\n'],
    ['that is no HTTP', 'nonsense\r\n\r\n'],
    ['that is empty', ''],
  ])('%s is a failure', async (title, bytes) => {
    const place = `/${encodeURIComponent(title)}`;
    receiver.answer(place, (request) => request.socket.end(bytes));
    const { send } = senderWith('allow');
    expect(await send(receiver.url(place))).toMatchObject({ status: null, error: expect.any(String) });
  });
});

describe('private addresses', () => {
  it.each([
    ['allow', {}],
    ['refuse', { HOST: '0.0.0.0' }],
    ['refuse', { NODE_ENV: 'production' }],
    ['allow', { HOST: '0.0.0.0', WEBHOOK_PRIVATE_ADDRESSES: 'allow' }],
  ])('%s is the rule with %j', (rule, variables) => {
    expect(configOf(variables as Record<string, string>).webhooks.privateAddresses).toBe(rule);
  });
});

describe('the pauses between attempts', () => {
  it('are more than three days together, and no more than four', () => {
    const pauses = Array.from({ length: 9 }, (_, n) => pauseAfter(n + 1) ?? 0);
    const hours = pauses.reduce((sum, pause) => sum + pause, 0) / 3_600_000;
    expect(pauseAfter(10)).toBeNull();
    expect(hours).toBeGreaterThan(72);
    expect(hours).toBeLessThan(96);
  });
});
