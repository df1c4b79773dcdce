import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { Writable } from 'node:stream';
import { pinoHttp } from 'pino-http';
import { lines } from '../src/operations/log.ts';
import { Transactions } from '../src/transactions/transactions.ts';
import { startApp, type TestApp } from './support/app.ts';

let service: TestApp;
beforeAll(async () => {
  service = await startApp();
});
afterAll(() => service.close());

it('a line that is written inside a boundary says in which', async () => {
  const written: { msg: string; boundary?: string }[] = [];
  const sink = new Writable({
    write: (line, _, done) => {
      written.push(JSON.parse(String(line)));
      done();
    },
  });
  const { logger } = pinoHttp({ ...lines({ level: 'info', messages: 'all' }) }, sink);
  const transactions = service.app.get(Transactions);

  logger.info('before');
  await transactions.run({ name: 'Orders.place' }, async () => {
    logger.info('inside');
    await transactions.run({ propagation: 'not-supported' }, async () => logger.info('beside'));
    await transactions.run({ name: 'Accounts.pay', propagation: 'requires-new' }, async () => logger.info('inner'));
  });
  logger.info('after');

  expect(written.map(({ msg, boundary }) => [msg, boundary])).toEqual([
    ['before', undefined],
    ['inside', 'Orders.place'],
    ['beside', undefined],
    ['inner', 'Accounts.pay'],
    ['after', undefined],
  ]);
});

describe('the lines of a request', () => {
  const traceId = '4bf92f3577b34da6a3ce929d0e0e4736';
  const parentId = '00f067aa0ba902b7';

  async function linesOf(headers: Record<string, string>): Promise<Record<string, unknown>[]> {
    const written: Record<string, unknown>[] = [];
    const sink = new Writable({
      write: (line, _, done) => {
        written.push(JSON.parse(String(line)));
        done();
      },
    });
    const log = pinoHttp(lines({ level: 'info', messages: 'all' }), sink);
    const server = createServer((request, response) => {
      request.id = 'req_1';
      log(request, response);
      request.log.info('inside');
      response.end();
    }).listen(0, '127.0.0.1');
    await new Promise((resolve) => server.once('listening', resolve));
    const { port } = server.address() as AddressInfo;
    await fetch(`http://127.0.0.1:${port}/v1/orders?secret=1`, { headers: { ...headers, connection: 'close' } });
    await new Promise((resolve) => server.close(resolve));
    return written;
  }

  it.each([`00-${traceId}-${parentId}-01`, `00-${traceId}-${parentId}-00`, `cc-${traceId}-${parentId}-01-what-comes`])(
    'carry its id and the trace that it belongs to: %s',
    async (traceparent) => {
      const written = await linesOf({ traceparent });
      expect(written.map(({ msg }) => msg)).toEqual(['inside', 'request']);
      for (const line of written) expect(line).toMatchObject({ requestId: 'req_1', traceId });
      expect(written[1]).toMatchObject({ method: 'GET', path: '/v1/orders', status: 200 });
      expect(JSON.stringify(written)).not.toMatch(/secret|"req"|"headers"/);
    },
  );

  it.each([
    '',
    'nonsense',
    `ff-${traceId}-${parentId}-01`,
    `00-${traceId}-${parentId}-01-more`,
    `00-${traceId}-${parentId}-1`,
    `00-${'0'.repeat(32)}-${parentId}-01`,
    `00-${traceId}-${'0'.repeat(16)}-01`,
    `00-${traceId.toUpperCase()}-${parentId}-01`,
    `00-${traceId}-${parentId}-01, 00-${traceId}-${parentId}-01`,
    `00-${traceId.slice(1)}-${parentId}-01`,
  ])('carry no trace when it is not told in the form of the standard: %j', async (traceparent) => {
    for (const line of await linesOf({ traceparent })) {
      expect(line).toMatchObject({ requestId: 'req_1' });
      expect(line).not.toHaveProperty('traceId');
    }
  });
});
