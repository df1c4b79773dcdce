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
  const { logger } = pinoHttp({ ...lines('info') }, sink);
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
