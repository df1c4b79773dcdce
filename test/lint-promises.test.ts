/** @servers any */
import { type Answer, lint, type Text } from './support/lint.ts';

const rule = 'promises/no-dropped-promise';
const service = 'src/modules/orders/orders.service.ts';
const core = 'src/transactions/hooks.ts';
const test = 'test/orders.test.ts';

/** A service that does its work outside any boundary. The types are the real ones. */
const shop = (body: string): string => `
import type { FastifyReply } from 'fastify';
import type { Tables } from '../../transactions/tables.ts';
declare function fail(error: unknown): void;
declare function afterCommit(work: () => unknown): void;
declare class Orders { cancel(id: string): Promise<boolean> }
export class Shop {
  constructor(readonly orders: Orders, readonly db: Tables<'order'>, readonly reply: FastifyReply) {}
  async work(id: string, ids: string[]) { ${body} }
}`;
/** A test of a service. */
const tested = (body: string): string => `
import { startApp } from './support/app.ts';
it('works', async () => {
  const service = await startApp();
  const ids: string[] = [];
  ${body}
  await service.close();
});`;
const background = (body: string): string => `
declare function run(): Promise<void>;
export function begin(): void { ${body} }`;

interface Cases {
  readonly like: string;
  readonly invalid: Record<string, string>;
  readonly valid: Record<string, string>;
}
const cases: Cases[] = [
  {
    like: service,
    invalid: {
      'a call': shop('this.orders.cancel(id);'),
      void: shop('void this.orders.cancel(id);'),
      'void behind finally': shop('void this.orders.cancel(id).finally(() => undefined);'),
      'void of what Prisma begins when it is awaited': shop('void this.db.order.deleteMany();'),
      'a query that is kept and never awaited': shop('const deleted = this.db.order.deleteMany();'),
      'a list without Promise.all': shop('const all = [this.orders.cancel(id), this.db.order.deleteMany()];'),
      'a list that is mapped': shop('ids.map((one) => this.orders.cancel(one));'),
      'a list that is filled': shop(
        'const all: Promise<boolean>[] = []; for (const one of ids) all.push(this.orders.cancel(one));',
      ),
      'an async callback of forEach': shop('ids.forEach(async (one) => { await this.orders.cancel(one); });'),
      'an async callback of a timer': shop('setTimeout(async () => { await this.orders.cancel(id); }, 1);'),
      'a call in a hook': shop('afterCommit(() => { void this.orders.cancel(id); });'),
    },
    valid: {
      await: shop('await this.orders.cancel(id);'),
      return: shop('return this.db.order.deleteMany();'),
      'a list under Promise.all': shop('await Promise.all(ids.map((one) => this.orders.cancel(one)));'),
      'a failure that goes somewhere': shop('this.orders.cancel(id).catch(fail);'),
      'a hook that returns it': shop('afterCommit(() => this.orders.cancel(id));'),
      'a header of an answer': shop("void this.reply.header('etag', id);"),
    },
  },
  {
    like: test,
    invalid: {
      'a request that is not awaited': tested("service.as().get('/v1/products').expect(200);"),
      'void of a request': tested("void service.as().get('/v1/products');"),
      'a request that is kept': tested("const sent = service.as().get('/v1/products');"),
      'requests of forEach': tested('ids.forEach((id) => service.as().get(`/v1/orders/${id}`).expect(404));'),
      'an expectation that is not awaited': tested('expect(Promise.resolve(1)).resolves.toBe(1);'),
    },
    valid: {
      'a request that is awaited': tested("await service.as().get('/v1/products').expect(200);"),
      'requests at once': tested(
        'await Promise.all(ids.map((id) => service.as().get(`/v1/orders/${id}`).expect(404)));',
      ),
    },
  },
  {
    like: core,
    invalid: { 'a call': background('run();'), 'a callback of a timer': background('setInterval(run, 1);') },
    valid: { 'void of a job in the background': background('void run();') },
  },
];
const all = cases.flatMap(({ like, invalid, valid }) => {
  const texts = (codes: Record<string, string>, isRefused: boolean) =>
    Object.entries(codes).map(([what, code]) => ({
      what: `${isRefused ? 'is refused' : 'passes'} as in ${like}: ${what}`,
      isRefused,
      text: { like, code } satisfies Text,
    }));
  return [...texts(invalid, true), ...texts(valid, false)];
});

describe('a promise that nobody waits for', () => {
  let answer: Answer;
  beforeAll(() => {
    answer = lint(all.map(({ text }) => text));
  });

  it.each(all.map(({ what, isRefused }, index) => ({ what, isRefused, index })))('$what', ({ isRefused, index }) => {
    const told = answer.told[index] ?? [];
    // A text that does not parse would be told nothing else.
    expect(told.filter((one) => !/^[@\w/-]+$/.test(one))).toEqual([]);
    expect(told.includes(rule)).toBe(isRefused);
  });
});
