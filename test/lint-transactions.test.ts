/** @servers any */
import { type Answer, lint, type Text } from './support/lint.ts';
import { separateWritesCases } from './support/separate-writes-cases.ts';

const service = 'src/modules/orders/orders.service.ts';
const core = 'src/transactions/boundary/retry.ts';

/** A service with a method of each kind. The imports are the real ones, so that the rules know what they look for by its real name. */
const shop = (members: string, head = ''): string => `${head}
import { ProblemError } from '../../kernel/problem.ts';
import { orderProblems } from './orders.problems.ts';
import { Transactional } from '../../transactions/transactional.ts';
import { Transactions } from '../../transactions/transactions.ts';
interface Order { readonly id: string }
declare class OrdersRepository {
  find(id: string): Promise<Order | null>;
  findOrCreate(id: string): Promise<Order>;
  list(ids: string[]): Promise<Order[]>;
  cancel(id: string): Promise<boolean>;
}
declare class OrdersService { get(id: string): Promise<Order> }
declare function afterCommit(work: () => unknown): void;
declare function allowExternalWork<T>(reason: string, work: () => T): T;
declare function fail(error: unknown): never;
declare function show(order: Order | null): string;
export class Shop {
  constructor(
    readonly transactions: Transactions,
    readonly orders: OrdersRepository,
    readonly service: OrdersService,
    readonly items: Order[],
  ) {}
  @Transactional({ propagation: 'nested' }) async tryOne(id: string) { await this.orders.cancel(id); }
  @Transactional({ propagation: 'requires-new' }) async apart(id: string) { await this.orders.cancel(id); }
  @Transactional({ propagation: 'mandatory' }) async join(id: string) { await this.orders.cancel(id); }
  ${members}
}`;
const inside = (body: string, head = ''): string =>
  shop(`@Transactional() async work(id: string, ids: string[]) { ${body} }`, head);
const outside = (body: string, head = ''): string => shop(`async work(id: string, ids: string[]) { ${body} }`, head);

interface Cases {
  readonly invalid: Record<string, string>;
  readonly valid: Record<string, string>;
}
const run = 'this.transactions.run';
const cancel = 'await this.orders.cancel(id);';
const nested = `${run}({ propagation: 'nested' }, () => this.orders.cancel(id))`;
const swallowing = `try { ${cancel} } catch { /* go on */ }`;

const swallowedError: Cases = {
  invalid: {
    'a catch that goes on': inside(swallowing),
    'a catch that throws one kind only': inside(
      `try { ${cancel} } catch (error) { if (error instanceof ProblemError) throw error; return null; } return id;`,
    ),
    'a catch that throws in one case only': inside(
      `try { ${cancel} } catch (error) { switch (id) { case '': throw error; } }`,
    ),
    'a catch that goes on to the next': inside(
      `for (const one of ids) try { await this.orders.cancel(one); } catch (error) { if (one) continue; throw error; }`,
    ),
    'a .catch that gives a value': inside('return this.orders.find(id).catch(() => null);'),
    'a .catch with a function by name': inside('const give = () => false; await this.orders.cancel(id).catch(give);'),
    'a .catch with a function of another file': inside(
      'await this.orders.cancel(id).catch(newId);',
      "import { newId } from '../../kernel/ids.ts';",
    ),
    'a second function of .then': inside(`return this.orders.find(id).then(show, () => '');`),
    'a .catch of a promise that nobody awaits besides': inside(
      'const order = this.orders.find(id); return order.catch(() => null);',
    ),
    'results that nobody looks at': inside('await Promise.allSettled(ids.map((one) => this.orders.cancel(one)));'),
    'results in a variable that nobody reads': inside(
      'const results = await Promise.allSettled([this.orders.cancel(id), this.orders.list(ids)]);',
    ),
    'a catch around a boundary that joins': inside('try { await this.join(id); } catch { return; }'),
    'a catch in a callback': inside(
      'await Promise.all(ids.map(async (one) => { try { await this.orders.cancel(one); } catch { return; } }));',
    ),
    'a catch in the work of run': outside(`await ${run}({}, async () => { ${swallowing} });`),
    'a catch in the work of a nested run': inside(
      `await ${run}({ propagation: 'nested' }, async () => { ${swallowing} });`,
    ),
    'a catch in work that has a name': outside(`const work = async () => { ${swallowing} }; await ${run}({}, work);`),
    'a catch in a method decorated under another name': shop(
      `@Boundary() async work(id: string) { ${swallowing} }`,
      `import { Transactional as Boundary } from '../../transactions/transactional.ts';`,
    ),
    'a catch in run of what is called transactions and has no type': outside(
      `const transactions = this.items as any; await transactions.run({}, async () => { ${swallowing} });`,
    ),
    'a catch where Transactions is picked from': outside(
      `await this.few.run({}, async () => { ${swallowing} });`,
    ).replace('readonly items', "readonly few: Pick<Transactions, 'run'>,\nreadonly items"),
  },
  valid: {
    'a catch that throws again': inside(`try { ${cancel} } catch (error) { throw error; }`),
    'a catch that throws another error': inside(
      `try { ${cancel} } catch (error) { if (id) throw orderProblems.notCancellable(); else throw error; }`,
    ),
    'a catch that throws in each case': inside(
      `try { ${cancel} } catch (error) { switch (id) { case '': case 'a': throw error; default: throw orderProblems.notCancellable(); } }`,
    ),
    'a catch that calls what never returns': inside(`try { ${cancel} } catch (error) { fail(error); }`),
    'a catch that gives an error': inside(
      `try { ${cancel} } catch { return orderProblems.notCancellable(); } return null;`,
    ),
    'a .catch that throws another error': inside(
      `await this.orders.cancel(id).catch(() => { throw orderProblems.notCancellable(); });`,
    ),
    'a .catch that gives a rejection': inside('await this.orders.cancel(id).catch((e) => Promise.reject(e as Error));'),
    'a .catch with a function that never returns': inside('await this.orders.cancel(id).catch(fail);'),
    'a catch around a nested boundary': inside(`try { await ${nested}; } catch { return; }`),
    'a .catch of a nested boundary': inside(`await ${nested}.catch(() => null);`),
    'a .catch of a nested boundary that has a name': inside(`const tried = ${nested}; return tried.catch(() => null);`),
    'a catch around a boundary of which nothing is known': shop(
      `@Transactional() async work(id: string, options: TransactionOptions) {
        try { await this.transactions.run(options, () => this.orders.cancel(id)); } catch { return; }
      }`,
      "import type { TransactionOptions } from '../../transactions/boundary/options.ts';",
    ),
    'a catch around a method with a transaction of its own': inside('try { await this.apart(id); } catch { return; }'),
    'results of boundaries of their own': inside('await Promise.allSettled(ids.map((one) => this.apart(one)));'),
    'results that are looked at': inside(
      `const results = await Promise.allSettled([this.orders.cancel(id)]);
      for (const result of results) if (result.status === 'rejected') throw result.reason;`,
    ),
    'a .catch of a promise that is awaited besides': inside(
      'const order = this.orders.find(id); order.catch(() => null); return [await this.orders.list(ids), await order];',
    ),
    'a catch around outside work': inside(
      `try { await allowExternalWork('small', () => Promise.resolve(id)); } catch { return; }`,
    ),
    'a catch around what is not awaited': inside('try { return JSON.parse(id) as string; } catch { return null; }'),
    "zod's own catch": inside(`return z.string().catch('').parse(id);`, "import { z } from 'zod';"),
    'a catch outside a boundary': outside(swallowing),
    'a catch in a class of its own': inside(
      `return class { async undo(orders: OrdersRepository) { try { await orders.cancel(id); } catch { /* go on */ } } };`,
    ),
    'a catch after the commit': inside(`afterCommit(async () => { ${swallowing} });`),
    'a catch where no transaction runs': shop(
      `@Transactional({ propagation: 'not-supported' }) async work(id: string) { ${swallowing} }`,
    ),
    'a catch in the work of something else': outside(
      `await this.queue.run({}, async () => { ${swallowing} });`,
    ).replace(
      'readonly items',
      'readonly queue: { run(options: object, work: () => Promise<void>): Promise<void> },\nreadonly items',
    ),
    'a decorator of somebody else': shop(
      `@Boundary() async work(id: string) { ${swallowing} }`,
      `import { Transactional as Boundary } from '@nestjs-cls/transactional';`,
    ),
  },
};

const outsideWork: Cases = {
  invalid: {
    fetch: inside('await fetch(id);'),
    'fetch of globalThis': inside('await globalThis.fetch(id);'),
    'a file': inside('return readFile(id);', "import { readFile } from 'node:fs/promises';"),
    'a file by the old name': inside('return fs.existsSync(id);', "import * as fs from 'fs';"),
    'a file by a loaded module': inside(`const { readFile } = await import('node:fs/promises'); return readFile(id);`),
    'a request': inside('return https.get(id);', "import https from 'node:https';"),
    'a socket that was handed in': shop(
      '@Transactional() async work(id: string, socket: Socket) { socket.write(id); }',
      "import type { Socket } from 'node:net';",
    ),
    'a child process': inside('return spawn(id);', "import { spawn } from 'node:child_process';"),
    'a worker': inside('return new Worker(id);', "import { Worker } from 'node:worker_threads';"),
    'a client': inside('await axios.post(id);', "import axios from 'axios';"),
    'a client once in a chain': inside(
      'await mail.createTransport(id).sendMail({ to: ids });',
      "import mail from 'nodemailer';",
    ),
    'a client of a family': inside('return new S3Client({});', "import { S3Client } from '@aws-sdk/client-s3';"),
    'a client that was handed in': shop(
      '@Transactional() async work(id: string, agent: SuperAgentStatic) { await agent.get(id); }',
      "import type { SuperAgentStatic } from 'superagent';",
    ),
    'a password hashed': inside('return hash(id);', "import { hash } from '@node-rs/argon2';"),
    'a wait': inside('await sleep(100);', "import { setTimeout as sleep } from 'node:timers/promises';"),
    'a wait by a promise': inside('await new Promise((resolve) => setTimeout(resolve, 100));'),
    'fetch in the work of run': outside(`await ${run}({}, async () => { await fetch(id); });`),
  },
  valid: {
    'fetch outside a boundary': outside('await fetch(id);'),
    'fetch after the commit': inside('afterCommit(async () => { await fetch(id); });'),
    'fetch after the commit by a name': inside('const tell = () => fetch(id); afterCommit(tell);'),
    'fetch with a reason': inside(`await allowExternalWork('one small request', () => fetch(id));`),
    'fetch where no transaction runs': shop(
      `@Transactional({ propagation: 'not-supported' }) async work(id: string) { await fetch(id); }`,
    ),
    'a fetch of our own': inside('const fetch = (it: string) => it; return fetch(id);'),
    'a look at an address': inside('return isIP(id);', "import { isIP } from 'node:net';"),
    'a digest': inside(`return createHash('sha256').update(id).digest();`, "import { createHash } from 'node:crypto';"),
    'a path': inside('return join(id, id);', "import { join } from 'node:path';"),
    'a timer that nobody waits for': inside('const timer = setTimeout(() => undefined, 100); clearTimeout(timer);'),
    'a module of ours': inside('return fs.newId();', "import * as fs from '../../kernel/ids.ts';"),
  },
};

const delegate = `declare class OrderDelegate { findMany(): Promise<string[]> }
declare const db: { order: OrderDelegate };`;
const singleRead: Cases = {
  invalid: {
    'a read of a repository': inside('return this.orders.find(id);'),
    'a read that is awaited': inside('return await this.orders.list(ids);'),
    'a read that is shown': inside('return show(await this.orders.find(id));'),
    'a read that may find nothing': inside(
      `const order = await this.orders.find(id); if (order === null) throw orderProblems.notCancellable(); return order;`,
    ),
    'a read that is mapped': inside('const orders = await this.orders.list(ids); return orders.map((one) => one.id);'),
    'a read with then': inside('return this.orders.find(id).then(show);'),
    'a read of Prisma': inside('return db.order.findMany();', delegate),
    'a read in run': outside(`return ${run}({ name: 'read' }, () => this.orders.find(id));`),
    'a read in run by a name': outside(
      `const read = async () => { return this.orders.find(id); }; return ${run}({}, read);`,
    ),
    'a read with options that say nothing': shop(
      `@Transactional({ propagation: 'required', retry: 3 }) async work(id: string) { return this.orders.find(id); }`,
    ),
  },
  valid: {
    'two reads': inside('const order = await this.orders.find(id); return [order, await this.orders.list(ids)];'),
    'a read and a write': inside('await this.orders.cancel(id); return this.orders.find(id);'),
    'a read that makes what is not there': inside('return this.orders.findOrCreate(id);'),
    'a read of a service, which may be many': inside('return this.service.get(id);'),
    'a read of a service that is called otherwise': inside(
      'return more.get(id);',
      'declare const more: OrdersService;',
    ),
    'a read, and more in a callback': inside(
      'const orders = await this.orders.list(ids); return orders.map((one) => this.service.get(one.id));',
    ),
    'a read for each': inside('return Promise.all(ids.map((one) => this.orders.find(one)));'),
    'a read in a loop': inside('for (const one of ids) await this.orders.find(one);'),
    'a read on a level': shop(
      `@Transactional({ isolation: 'repeatable-read' }) async work(id: string) { return this.orders.find(id); }`,
    ),
    'a read that must not write': outside(`return ${run}({ readOnly: true }, () => this.orders.find(id));`),
    'a read that demands a boundary': shop(
      `@Transactional({ propagation: 'mandatory' }) async work(id: string) { return this.orders.find(id); }`,
    ),
    'a read with options of somebody else': shop(
      `async work(id: string, options: TransactionOptions) { return ${run}(options, () => this.orders.find(id)); }`,
      "import type { TransactionOptions } from '../../transactions/boundary/options.ts';",
    ),
    'a read without a boundary': outside('return this.orders.find(id);'),
  },
};

const work = 'async () => { await this.orders.cancel(id); }';
const needlessBoundary: Cases = {
  invalid: {
    'run in a boundary': inside(`await ${run}({}, ${work});`),
    'run with a name': inside(`await ${run}({ name: 'cancel' }, ${work});`),
    'run with the usual propagation': inside(`await ${run}({ propagation: 'required' }, ${work});`),
    'run with options that have a name': inside(`const options = { name: 'cancel' }; await ${run}(options, ${work});`),
    'run in run': outside(`await ${run}({}, () => ${run}({}, ${work}));`),
    'run in a callback': inside(`await Promise.all(ids.map((id) => ${run}({}, ${work})));`),
    'run in a nested boundary': inside(
      `await ${run}({ propagation: 'nested' }, async () => { await ${run}({}, ${work}); ${cancel} });`,
    ),
  },
  valid: {
    'run outside a boundary': outside(`await ${run}({}, ${work});`),
    'a nested boundary': inside(`await ${run}({ propagation: 'nested' }, ${work});`),
    'a transaction of its own': inside(`await ${run}({ propagation: 'requires-new' }, ${work});`),
    'a boundary that must be joined': inside(`await ${run}({ propagation: 'mandatory' }, ${work});`),
    'a boundary on a level': inside(`await ${run}({ isolation: 'serializable' }, ${work});`),
    'a boundary after the commit': inside(`afterCommit(async () => { await ${run}({}, ${work}); });`),
    'a boundary where no transaction runs': shop(
      `@Transactional({ propagation: 'not-supported' }) async work(id: string) { await ${run}({}, ${work}); }`,
    ),
    'run of something else': inside(
      'return runner.run({}, ids);',
      'declare const runner: { run(a: object, b: object): string };',
    ),
  },
};

const sql = 'declare const sql: (text: TemplateStringsArray) => Promise<void>;';
const unawaitedWork: Cases = {
  invalid: {
    'a call': inside('this.orders.cancel(id);'),
    void: inside('void this.orders.cancel(id);'),
    'a call on a condition': inside('ids.length > 0 && this.orders.cancel(id);'),
    'a call with a .catch': inside('this.orders.cancel(id).catch(fail);'),
    'a statement': inside('sql`DELETE`;', sql),
    'a variable that nobody mentions': inside('const cancelled = this.orders.cancel(id);'),
    'a variable that is only cast away': inside('const cancelled = this.orders.cancel(id); void cancelled;'),
    'a list': inside('[this.orders.cancel(id)];'),
    'a list that is mapped': inside('ids.map((one) => this.orders.cancel(one));'),
    'a list that nobody waits for': inside(
      'const all: Promise<boolean>[] = []; for (const one of ids) all.push(this.orders.cancel(one));',
    ),
    'an async callback of forEach': inside('ids.forEach(async (one) => { await this.orders.cancel(one); });'),
    'a callback of a timer': inside('setImmediate(() => this.orders.cancel(id));'),
    'a call in the work of run': outside(`await ${run}({}, async () => { void this.orders.cancel(id); });`),
  },
  valid: {
    await: inside(cancel),
    return: inside('return this.orders.cancel(id);'),
    'a call with a .catch that is awaited': inside('await this.orders.cancel(id).catch(fail);'),
    'a list that is awaited': inside('await Promise.all([this.orders.cancel(id), this.orders.list(ids)]);'),
    'a list that is awaited later': inside(
      'const all: Promise<boolean>[] = []; for (const one of ids) all.push(this.orders.cancel(one)); await Promise.all(all);',
    ),
    'a list that is awaited one by one': inside(
      'const all = ids.map((one) => this.orders.cancel(one)); for (const one of all) await one;',
    ),
    'a variable that is awaited later': inside(
      `const order = this.orders.find(id); ${cancel} return show(await order);`,
    ),
    'a variable that is assigned': inside('let order; order = this.orders.find(id); return order;'),
    'a variable that is assigned and returned at once': inside(
      'let kept: Promise<unknown> | undefined; return (kept ??= this.orders.find(id));',
    ),
    'a choice that is returned': inside('return ids.length > 0 ? this.orders.list(ids) : this.orders.find(id);'),
    'a call that gives no promise': inside('ids.push(id); ids.forEach((one) => show({ id: one }));'),
    'a call outside a boundary': outside('void this.orders.cancel(id);'),
    'a call after the commit': inside('afterCommit(() => { void this.orders.cancel(id); });'),
  },
};

const parallelNested: Cases = {
  invalid: {
    'two at once': inside(`await Promise.all([${nested}, ${nested}]);`),
    'two methods at once': inside('await Promise.all([this.tryOne(id), this.tryOne(id)]);'),
    'one for each': inside('await Promise.all(ids.map((one) => this.tryOne(one)));'),
    'one for each in a function': inside(
      `await Promise.allSettled(ids.map(async (id) => { await ${nested}.catch(() => null); }));`,
    ),
    'one for each by a name': inside('const one = (id: string) => this.tryOne(id); await Promise.all(ids.map(one));'),
    'one for each by a method': inside('await Promise.all(ids.map(this.tryOne));'),
    'some of them one for each': inside(
      'await Promise.all([this.orders.list(ids), ...ids.map((one) => this.tryOne(one))]);',
    ),
    'a list that was begun before': inside('const all = ids.map((one) => this.tryOne(one)); await Promise.all(all);'),
    'a race': inside('await Promise.race([this.tryOne(id), this.tryOne(id)]);'),
    'the first that succeeds': inside('await Promise.any(Array.from(ids, (one) => this.tryOne(one)));'),
  },
  valid: {
    'one after the other': inside('for (const one of ids) await this.tryOne(one);'),
    'one beside something else': inside('await Promise.all([this.tryOne(id), this.orders.list(ids)]);'),
    'a transaction of its own for each': inside('await Promise.all(ids.map((one) => this.apart(one)));'),
    'one in a transaction of its own for each': inside(
      `await Promise.all(ids.map((id) => ${run}({ propagation: 'requires-new' }, async () => { await ${nested}; })));`,
    ),
    'what each was awaited for': inside(
      `await Promise.all([show(await this.orders.find(id)), await ${nested}, await ${nested}]);`,
    ),
    'outside a boundary': outside(`await Promise.all([${nested}, this.tryOne(id)]);`),
    'after the commit': inside('afterCommit(() => Promise.all(ids.map((one) => this.tryOne(one))));'),
    'reads at once': inside('await Promise.all(ids.map((one) => this.orders.find(one)));'),
  },
};

const databases = "import type { DatabaseClients } from '../../database/database-clients.ts';";
const pool =
  "import type { DatabaseClient } from '../../database/database-client.ts';\ndeclare const client: DatabaseClient;";
const rawClient: Cases = {
  invalid: {
    'a client of its own': outside(
      'return new PrismaClient({} as never);',
      "import { PrismaClient } from '../../database/generated/client.ts';",
    ),
    'a connection of its own': inside('return new pg.Client();', "import pg from 'pg';"),
    'the write client': outside(
      'return databases.write.prisma;',
      `${databases} declare const databases: DatabaseClients;`,
    ),
    'the write client that is a field': shop(
      'private readonly all = null as unknown as DatabaseClients; async work() { return this.all.write; }',
      databases,
    ),
    'the pool': inside(`await client.pool.query('SELECT 1');`, pool),
    'the pool, taken apart': outside('const { pool } = client; return typeof pool;', pool),
    'the pool, handed on': outside(
      'return use(client);',
      `${pool} declare function use(client: DatabaseClient): void;`,
    ),
    "a pool of pg's": outside(
      `await own.query('SELECT 1');`,
      "import type { Pool } from 'pg'; declare const own: Pool;",
    ),
    "a client that extends pg's": outside(
      `await own.query('SELECT 1');`,
      "import type pg from 'pg'; declare class Own extends pg.Client {} declare const own: Own;",
    ),
    'clients whose type is unknown': outside('return databases.write;', "import { databases } from './nowhere.ts';"),
  },
  valid: {
    'the injected client': inside(
      'return this.db.order.findMany();',
      "import type { Tables } from '../../transactions/tables.ts';",
    ).replace('readonly items', "readonly db: Tables<'order'>,\nreadonly items"),
    'the transaction': inside(
      'return this.db.$executeRaw`DELETE`;',
      "import type { Sql } from '../../transactions/tables.ts';",
    ).replace('readonly items', 'readonly db: Sql,\nreadonly items'),
    'the client that Transactions gives': `
      import type { PrismaClient } from '../../database/generated/client.ts';
      declare class Transactions { readonly client: PrismaClient }
      export const go = (transactions: Transactions) => transactions.client.order;`,
    'a client of something else': outside(
      'return client.send(id);',
      'declare class Client { send(text: string): string } declare const client: Client;',
    ),
    'a pool of something else': inside(
      'return lanes.pool.query(id);',
      'declare const lanes: { pool: { query(text: string): string } };',
    ),
    'a client of somebody else': outside('return new Client();', "import { Client } from './search.ts';"),
    'a type': outside('const none: DatabaseClient[] = []; return none;', pool),
  },
};
// The core has the raw clients; only in a boundary it must not use them.
const rawClientInCore: Cases = {
  invalid: { 'the pool in a boundary of the core': inside(`await client.pool.query('SELECT 1');`, pool) },
  valid: { 'the pool in the core': outside(`await client.pool.query('SELECT 1');`, pool) },
};

const withoutRetry = "{ isolation: 'serializable', retry: 0 }";
const serializable: Cases = {
  invalid: {
    'a method': shop(`@Transactional(${withoutRetry}) async work(id: string) { ${cancel} }`),
    run: outside(`await ${run}(${withoutRetry}, ${work});`),
    'retry that is false': outside(`await ${run}({ isolation: 'serializable', retry: false as never }, ${work});`),
    'options that have a name': outside(`const options = ${withoutRetry} as const; await ${run}(options, ${work});`),
    'a number that has a name': outside(
      `const none = 0; await ${run}({ isolation: 'serializable', retry: none }, ${work});`,
    ),
    'options put together': outside(
      `const strict = { isolation: 'serializable' } as const; await ${run}({ ...strict, retry: 0 }, ${work});`,
    ),
    'options that a function makes': outside(
      `await ${run}(strict(), ${work});`,
      `const strict = () => (${withoutRetry}) as const;`,
    ),
  },
  valid: {
    'retry as usual': shop(`@Transactional({ isolation: 'serializable' }) async work(id: string) { ${cancel} }`),
    'retry by number': outside(`await ${run}({ isolation: 'serializable', retry: 3 }, ${work});`),
    'another level': outside(`await ${run}({ isolation: 'repeatable-read', retry: 0 }, ${work});`),
    'no level': outside(`await ${run}({ retry: 0 }, ${work});`),
    'retry that replaces another': outside(
      `const strict = ${withoutRetry} as const; await ${run}({ ...strict, retry: 3 }, ${work});`,
    ),
    'run of something else': outside(
      `return runner.run(${withoutRetry});`,
      'declare const runner: { run(options: object): string };',
    ),
  },
};

const byRule: [rule: string, cases: Cases, like?: string][] = [
  ['no-swallowed-error', swallowedError],
  ['no-outside-work', outsideWork],
  ['no-separate-writes', separateWritesCases(shop)],
  ['no-single-read-boundary', singleRead],
  ['no-needless-boundary', needlessBoundary],
  ['no-unawaited-work', unawaitedWork],
  ['no-parallel-nested', parallelNested],
  ['no-raw-client', rawClient],
  ['no-raw-client', rawClientInCore, core],
  ['serializable-needs-retry', serializable],
];
const alone = byRule.flatMap(([name, { invalid, valid }, like = service]) => {
  const rule = `transactions/${name}`;
  const cases = (codes: Record<string, string>, verb: string, told: string[]) =>
    Object.entries(codes).map(([what, code]) => ({
      what: `${name} ${verb} ${what}`,
      told,
      text: { rule, like, code },
    }));
  return [...cases(invalid, 'refuses', [rule]), ...cases(valid, 'allows', [])];
});
// One mistake of each rule, as anybody may make it.
const planted = [...new Map(byRule.map(([name, { invalid }]) => [name, Object.values(invalid)[0] ?? ''])).entries()];
const inService = planted.map(([, code]): Text => ({ like: service, code }));
const guarded = [service, core, 'src/main.ts', 'src/database/database-client.ts'];
const free = ['test/orders.test.ts', 'src/kernel/ids.test.ts', 'tools/check.mts'];

describe('the rules of a boundary', () => {
  let answer: Answer;
  const ours = (file: string) =>
    Object.fromEntries(Object.entries(answer.rulesOf[file]!).filter(([name]) => name.startsWith('transactions/')));
  beforeAll(() => {
    answer = lint([...alone.map(({ text }) => text), ...inService], [...guarded, ...free]);
  });

  it.each(alone.map(({ what, told }, index) => ({ what, told, index })))('$what', ({ told, index }) => {
    expect(answer.told[index]).toEqual(told);
  });

  it.each(guarded)('are errors in %s', (file) => {
    const all = Object.fromEntries(planted.map(([name]) => [`transactions/${name}`, [2]]));
    expect(ours(file)).toEqual(all);
  });

  it.each(free)('do not hold in %s', (file) => {
    expect(ours(file)).toEqual({});
  });

  it.each(planted.map(([name], index) => ({ name, index })))(
    'find a mistake in a service: $name',
    ({ name, index }) => {
      expect(answer.told[alone.length + index]).toContain(`transactions/${name}`);
    },
  );
});
