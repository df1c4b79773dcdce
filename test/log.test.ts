/** @servers any */
import { join } from 'node:path';
import { Writable } from 'node:stream';
import { fastify } from 'fastify';
import { pinoHttp } from 'pino-http';
import { followAskers } from '../src/http/access/asker.ts';
import { lines, logRequests } from '../src/operations/log.ts';
import { Transactions } from '../src/transactions/transactions.ts';
import { startApp, type TestApp } from './support/app.ts';
import { eventually } from './support/crowd.ts';
import { buildService, killServices, type ServiceProcess, startProgram } from './support/process.ts';
import { testSecret } from './support/secret.ts';

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
    const config = { level: 'info', messages: 'all' } as const;
    const { logger } = pinoHttp(lines(config), sink);
    const server = fastify({ genReqId: () => 'req_1' });
    logRequests(server, config, sink);
    followAskers(server);
    server.get('/v1/orders', (_, reply) => {
      logger.info('inside');
      return reply.send();
    });
    const url = await server.listen({ port: 0, host: '127.0.0.1' });
    await fetch(`${url}/v1/orders?secret=1`, { headers: { ...headers, connection: 'close' } });
    await server.close();
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

describe('of a service', () => {
  beforeAll(buildService);
  afterEach(killServices);

  // Breaks when it is told to, as by a mistake that nobody catches.
  const breaking = 'data:text/javascript,process.on("SIGUSR2", () => { throw new TypeError("broken"); })';
  const start = (): ServiceProcess =>
    startProgram(['--import', breaking, join(process.cwd(), 'dist', 'src', 'main.js')], {
      DATABASE_WRITE_URL: service.database.urls.app,
      DATABASE_READ_URL: service.database.urls.reader,
      AUTH_SECRET: testSecret,
      SHUTDOWN_DRAIN_MS: '0',
      LOG_LEVEL: 'info',
    });
  const pathsIn = (logged: readonly string[]) =>
    logged.map((line) => JSON.parse(line) as { msg: string; path?: string }).flatMap(({ path }) => path ?? []);

  it.each(['SIGTERM', 'SIGUSR2'] as const)('that ends by %s each request has its line', async (signal) => {
    const started = start();
    const url = await started.url;
    // Fewer than are written together anyway.
    const paths = Array.from({ length: 5 }, (_, n) => `/v1/products/${n}`);
    for (const path of paths) await fetch(url + path);
    started.kill(signal);
    await started.exit;
    expect(pathsIn(started.logged())).toEqual(paths);
  });

  it('that goes on a line is written within a moment, and of probes there is none', async () => {
    const started = start();
    const url = await started.url;
    for (const path of ['/livez', '/readyz', '/startupz', '/livez?verbose', '/v1/products']) await fetch(url + path);
    const logged = await eventually(
      async () => pathsIn(started.logged()),
      (paths) => paths.length > 0,
    );
    expect(logged).toEqual(['/v1/products']);
  });
});
