/** @servers any */
import { spawnSync } from 'node:child_process';
import { cpSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { Controller, Injectable, Module, type Provider, Scope, SetMetadata, type Type } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { makeConfig } from '../src/config/config.ts';
import { configModule } from '../src/config/slices.ts';
import { readEnvironment } from '../src/config/environment.ts';
import { BoundaryTable } from '../src/transactions/boundary/table.ts';
import { BoundaryTableError } from '../src/transactions/errors.ts';
import { InjectDatabase, InjectReads, type Reads, type Tables } from '../src/transactions/tables.ts';
import { Transactional } from '../src/transactions/transactional.ts';
import { TransactionsModule } from '../src/transactions/transactions.module.ts';
import type { Variables } from './support/app.ts';
import { type Core, startCore } from './support/core.ts';
import { createDatabase, type TestDatabase } from './support/database.ts';
import { serviceWith } from './support/one-boundary.ts';
import { buildService, leastEnvironment } from './support/process.ts';
import { testSecret } from './support/secret.ts';

let database: TestDatabase;
const cores: Core[] = [];
beforeAll(async () => {
  database = await createDatabase();
});
afterEach(async () => {
  for (const core of cores.splice(0)) await core.close();
});
afterAll(() => database.drop());

async function start(providers: Provider[], variables: Variables = {}): Promise<Core> {
  const core = await startCore(database, providers as Type[], { variables });
  cores.push(core);
  return core;
}

/** What the start of these is refused with. */
async function refusal(providers: Provider[], variables?: Variables): Promise<readonly string[]> {
  const error: unknown = await start(providers, variables).catch((reason: unknown) => reason);
  expect(error).toBeInstanceOf(BoundaryTableError);
  return (error as BoundaryTableError).contradictions;
}

const table = (core: Core): string[][] =>
  core.app
    .get(BoundaryTable)
    .describe()
    .split('\n')
    .map((line) => line.split(/ {2,}/));

describe('a service does not start', () => {
  const begins = 'begins nothing that';
  it.each<[what: string, options: object, said: string, variables?: Variables]>([
    [
      'with a serializable boundary that is not retried',
      { isolation: 'serializable', retry: 0 },
      'is serializable with retry: 0, so every conflict reaches its caller. Leave retry out, or choose a weaker level.',
    ],
    [
      'with a boundary that needs a second connection and a pool of one',
      { propagation: 'requires-new' },
      'is requires-new, which needs a second connection, and DATABASE_POOL_SIZE is 1. Set it to 2 or more.',
      { DATABASE_POOL_SIZE: '1' },
    ],
    [
      'with terms for a boundary that begins nothing',
      { propagation: 'supports', isolation: 'serializable', readOnly: true, timeout: '1s', lockTimeout: 5, retry: 1 },
      `is supports and ${begins} isolation, readOnly, timeout, lockTimeout, retry could hold for. Leave that out, or let it begin a boundary.`,
    ],
    [
      'with a level for one that runs without a transaction',
      { propagation: 'not-supported', isolation: 'repeatable-read' },
      `is not-supported and ${begins} isolation could hold for. Leave that out, or let it begin a boundary.`,
    ],
    [
      'with a timeout for one that runs without a transaction',
      { propagation: 'never', timeout: '1s' },
      `is never and ${begins} timeout could hold for. Leave that out, or let it begin a boundary.`,
    ],
    [
      'with retries of a boundary that only joins',
      { propagation: 'mandatory', retry: 2 },
      `is mandatory and ${begins} retry could hold for. Leave that out, or let it begin a boundary.`,
    ],
    ...(['2 s', '2m', '0ms', -5, 0.4, Number.NaN, '25d', 2 ** 31] as const).map(
      (timeout) =>
        [
          `with a timeout of ${timeout}`,
          { timeout },
          `has timeout: ${timeout}. Write a time from 1 ms to 24 days, like 250, '250ms' or '2s'.`,
        ] as [string, object, string],
    ),
    [
      'with a lock timeout that is no time',
      { lockTimeout: 'soon' },
      `has lockTimeout: soon. Write a time from 1 ms to 24 days, like 250, '250ms' or '2s'.`,
    ],
    [
      'with a lock timeout beyond the timeout beside it',
      { timeout: '1s', lockTimeout: '2s' },
      'waits 2000 ms for a lock and is over after 1000 ms. Shorten lockTimeout or lengthen timeout.',
    ],
    [
      'with a lock timeout beyond the timeout of the configuration',
      { lockTimeout: '2s' },
      'waits 2000 ms for a lock and is over after 1500 ms. Shorten lockTimeout or lengthen timeout.',
      { DATABASE_TRANSACTION_TIMEOUT_MS: '1500' },
    ],
    ...([-1, 1.5, Number.POSITIVE_INFINITY, '3'] as const).map(
      (retry) =>
        [
          `with ${typeof retry === 'string' ? 'the text ' : ''}${retry} retries`,
          { retry },
          `has retry: ${retry}. Say how often it may be run again, a whole number from 0.`,
        ] as [string, object, string],
    ),
    [
      'with an option that there is not',
      { isolationLevel: 'serializable' },
      'has an option isolationLevel, which there is not: say isolation.',
    ],
    [
      'with a level that there is not',
      { isolation: 'strict' },
      'has isolation: strict, which there is not: use one of read-committed, repeatable-read, serializable.',
    ],
    [
      'with a propagation that there is not',
      { propagation: 'fresh' },
      'has propagation: fresh, which there is not: use one of required, requires-new, nested, mandatory, supports, not-supported, never.',
    ],
    [
      'with an access that is neither',
      { readOnly: 'yes' },
      'has readOnly: yes, which there is not: use one of true, false.',
    ],
    ...(['', '  ', 'Bestellung für alle'] as const).map(
      (name) =>
        [
          `with the name "${name}"`,
          { name },
          'has a name that is empty or not in printable ASCII, as pg_stat_activity needs it. Give it another one.',
        ] as [string, object, string],
    ),
    [
      'with a name that pg_stat_activity would cut off',
      { name: 'x'.repeat(55) },
      'has a name of 55 bytes, and pg_stat_activity shows 54. Give it a shorter name.',
    ],
  ])('%s', async (_, options, said, variables = {}) => {
    expect(await refusal([serviceWith(options)], variables)).toEqual([`Shop.sell ${said}`]);
  });

  it('with a read-only boundary in a class that owns what writes', async () => {
    @Injectable()
    class Marks {
      constructor(@InjectDatabase() readonly db: Tables<'product'>) {}
    }
    @Injectable()
    class Reading {
      constructor(@InjectReads() readonly db: Reads<'product'>) {}
    }
    @Injectable()
    class Reports {
      constructor(
        readonly reading: Reading,
        readonly marks: Marks,
      ) {}
      @Transactional({ readOnly: true })
      async names() {
        return 0;
      }
    }
    @Injectable()
    class Direct {
      constructor(@InjectDatabase() readonly db: Tables<'product'>) {}
      @Transactional({ readOnly: true })
      async names() {
        return 0;
      }
    }
    @Injectable()
    class Fine {
      constructor(readonly reading: Reading) {}
      @Transactional({ readOnly: true })
      async names() {
        return 0;
      }
    }
    const advice = 'Move it to a class whose repositories use @InjectReads().';
    expect(await refusal([Marks, Reading, Reports, Direct, Fine])).toEqual([
      `Direct.names is read-only in a class that owns the database itself, which writes. ${advice}`,
      `Reports.names is read-only in a class that owns Marks, which writes. ${advice}`,
    ]);
    // By another token as well.
    const disguised = [{ provide: 'marks', useClass: Marks }, Reading, { provide: Marks, useExisting: 'marks' }];
    expect(await refusal([...disguised, Reports])).toHaveLength(1);
    await start([Reading, Fine]);
  });

  it('with two boundaries of one name', async () => {
    @Injectable()
    class Orders {
      @Transactional({ name: 'place' })
      async place() {
        return 0;
      }
      @Transactional({ name: 'place' })
      async placeAll() {
        return 0;
      }
    }
    expect(await refusal([Orders])).toEqual([
      'Orders.place is called place, and so is Orders.placeAll. Give each a name of its own.',
    ]);
  });

  it('and tells all contradictions at once, in one error, without having called anything', async () => {
    let calls = 0;
    @Injectable()
    class Payments {
      @Transactional({ isolation: 'serializable', retry: 0, timeout: 'long' as never })
      async pay(): Promise<void> {
        calls++;
      }
      @Transactional({ propagation: 'requires-new' })
      async refund(): Promise<void> {
        calls++;
      }
    }
    const error: unknown = await start([Payments, serviceWith({ retry: -1 })], { DATABASE_POOL_SIZE: '1' }).catch(
      (reason: unknown) => reason,
    );
    expect((error as Error).message).toBe(
      [
        '4 boundaries contradict what was said elsewhere:',
        `  Payments.pay has timeout: long. Write a time from 1 ms to 24 days, like 250, '250ms' or '2s'.`,
        '  Payments.pay is serializable with retry: 0, so every conflict reaches its caller. Leave retry out, or choose a weaker level.',
        '  Payments.refund is requires-new, which needs a second connection, and DATABASE_POOL_SIZE is 1. Set it to 2 or more.',
        '  Shop.sell has retry: -1. Say how often it may be run again, a whole number from 0.',
      ].join('\n'),
    );
    expect(calls).toBe(0);
  });

  it('with a contradiction in a provider of each request, or in what a factory makes', async () => {
    @Injectable({ scope: Scope.REQUEST })
    class PerRequest {
      @Transactional({ retry: -2 })
      async work() {
        return 0;
      }
    }
    @Injectable()
    class Made {
      @Transactional({ retry: -3 })
      async work() {
        return 0;
      }
    }
    const made = { provide: 'made', useFactory: async () => new Made() };
    expect((await refusal([PerRequest, made])).map((line) => line.split('.')[0])).toEqual(['Made', 'PerRequest']);
  });

  it('with a contradiction in a controller', async () => {
    @Controller()
    class Web {
      @Transactional({ retry: -1 })
      async post() {
        return 0;
      }
    }
    const environment = readEnvironment({
      DATABASE_WRITE_URL: database.urls.app,
      AUTH_SECRET: testSecret,
    });
    const config = makeConfig(environment as Parameters<typeof makeConfig>[0]);
    @Module({ imports: [configModule(config), TransactionsModule], controllers: [Web] })
    class WebModule {}
    const started = NestFactory.createApplicationContext(WebModule, { logger: false, abortOnError: false });
    await expect(started).rejects.toThrow('Web.post has retry: -1.');
  });
});

describe('the table of boundaries', () => {
  it('has a line for each, sorted, with its client, level, propagation, access, times and retries', async () => {
    @Injectable()
    class All {
      @Transactional()
      async usual() {
        return 0;
      }
      @Transactional({ name: 'night work', isolation: 'serializable', timeout: '2s', lockTimeout: 50, retry: 9 })
      async named() {
        return 0;
      }
      @Transactional({ readOnly: true })
      async reads() {
        return 0;
      }
      @Transactional({ readOnly: true, isolation: 'serializable' })
      async audits() {
        return 0;
      }
      @Transactional({ propagation: 'mandatory', isolation: 'repeatable-read', timeout: '1s' })
      async joins() {
        return 0;
      }
      @Transactional({ propagation: 'supports' })
      async either() {
        return 0;
      }
      @Transactional({ propagation: 'never' })
      async alone() {
        return 0;
      }
      @Transactional({ propagation: 'requires-new', retry: 0 })
      async apart() {
        return 0;
      }
    }
    const core = await start([All], { DATABASE_TRANSACTION_TIMEOUT_MS: '7000', DATABASE_LOCK_TIMEOUT_MS: '6000' });
    const [header, ...rows] = table(core);
    expect(header?.join(', ')).toBe('method, name, client, propagation, level, access, timeout, lock timeout, retry');
    const own = ['required', 'read-committed', 'write', '7000 ms', '6000 ms', '5'];
    const reads = ['read', '7000 ms', '6000 ms', '5'];
    expect(rows).toEqual([
      ['All.alone', 'none', 'never', '-', '-', '-', '-', '-'],
      ['All.apart', 'primary', 'requires-new', 'read-committed', 'write', '7000 ms', '6000 ms', '0'],
      ['All.audits', 'primary', 'required', 'serializable', ...reads],
      ['All.either', 'the running', 'supports', '-', '-', '-', '-', '-'],
      ['All.joins', 'the running', 'mandatory', 'repeatable-read', 'write', '1000 ms', '-', '-'],
      ['All.named', 'night work', 'primary', 'required', 'serializable', 'write', '2000 ms', '50 ms', '9'],
      ['All.reads', 'replica', 'required', 'read-committed', ...reads],
      ['All.usual', 'primary', ...own],
    ]);
  });

  it('has an inherited boundary once, under the class that draws it, and none where it was overridden', async () => {
    abstract class Base {
      @Transactional()
      async work() {
        return 0;
      }
      @Transactional()
      async other() {
        return 0;
      }
    }
    @Injectable()
    class One extends Base {}
    @Injectable()
    class Two extends Base {
      override async work() {
        return 0;
      }
    }
    expect(table(await start([One, Two])).map(([method]) => method)).toEqual(['method', 'Base.other', 'Base.work']);
    expect(table(await start([Two])).map(([method]) => method)).toEqual(['method', 'Base.other']);
  });
});

describe('@Transactional()', () => {
  const put = (target: unknown, key?: string, descriptor?: PropertyDescriptor) => () => {
    (Transactional() as unknown as (...where: unknown[]) => void)(target, key, descriptor);
  };
  const around = 'It draws a boundary around a method.';
  class Shop {
    static open(): Promise<void> {
      return Promise.resolve();
    }
    get keeper(): string {
      return this.constructor.name;
    }
    sell(): Promise<void> {
      return Promise.resolve();
    }
  }
  const of = (target: object, key: string) => Object.getOwnPropertyDescriptor(target, key);

  it.each<[where: string, refused: () => void, said: string]>([
    ['a class', put(Shop), 'Shop, which is a class'],
    [
      'a static method',
      put(Shop, 'open', of(Shop, 'open')),
      'Shop.open, which is static: no injected Transactions belongs to it',
    ],
    ['an accessor', put(Shop.prototype, 'keeper', of(Shop.prototype, 'keeper')), 'Shop.keeper, which is an accessor'],
    ['a property', put(Shop.prototype, 'till'), 'Shop.till, which is a property'],
  ])('is refused on %s when the class is made', (_, refused, said) => {
    expect(refused).toThrow(new TypeError(`@Transactional() stands on ${said}. ${around}`));
  });

  it('is refused twice on one method', () => {
    const once = put(Shop.prototype, 'sell', of(Shop.prototype, 'sell'));
    once();
    expect(once).toThrow(new TypeError(`@Transactional() stands on Shop.sell, which is a boundary already. ${around}`));
  });

  it('keeps what other decorators have left on the method', () => {
    class Kept {
      @Transactional()
      @SetMetadata('kept', 'beneath')
      async work() {
        return 0;
      }
    }
    expect(Reflect.getMetadata('kept', Kept.prototype.work)).toBe('beneath');
  });
});

describe('npm run transactions', () => {
  beforeAll(buildService, 300_000);

  let copy: string;
  beforeAll(() => {
    copy = mkdtempSync(join(tmpdir(), 'holdfast-transactions-'));
    for (const part of ['dist', 'tools', 'package.json']) cpSync(part, join(copy, part), { recursive: true });
    for (const part of ['node_modules', 'prisma']) symlinkSync(resolve(part), join(copy, part));
  });
  afterAll(() => rmSync(copy, { recursive: true, force: true }));

  const run = (args: string[], variables: Variables = {}) =>
    spawnSync(process.execPath, ['--disable-warning=MODULE_TYPELESS_PACKAGE_JSON', ...args], {
      cwd: copy,
      encoding: 'utf8',
      env: { ...leastEnvironment(), ...variables },
      timeout: 60_000,
    });
  const tool = (variables?: Variables) => run([join('tools', 'transactions.mts')], variables);

  it('prints every boundary of the service, without a database', () => {
    const { status, stdout, stderr } = tool();
    expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
    const methods = stdout
      .trimEnd()
      .split('\n')
      .map((line) => line.split(' ')[0]);
    expect(methods.slice(1)).toEqual([...methods.slice(1)].sort());
    const written = readdirSync('src/modules', { recursive: true, encoding: 'utf8' })
      .filter((file) => file.endsWith('.service.ts'))
      .map((file) => readFileSync(join('src/modules', file), 'utf8').split('@Transactional(').length - 1);
    expect(methods).toHaveLength(1 + written.reduce((sum, n) => sum + n, 0));
    expect(stdout).toMatch(/^OrdersService\.place +primary +required +read-committed +write +10000 ms +5000 ms +5$/m);
  });

  it('prints the limits that are set here', () => {
    expect(tool({ DATABASE_TRANSACTION_TIMEOUT_MS: '8000' }).stdout).toMatch(/^OrdersService\.place .* 8000 ms /m);
  });

  describe('when boundaries contradict themselves', () => {
    beforeAll(() => {
      const file = join(copy, 'dist', 'src', 'modules', 'orders', 'orders.service.js');
      const text = readFileSync(file, 'utf8');
      const planted = text
        .replace('.Transactional)()', ".Transactional)({ isolation: 'serializable', retry: 0 })")
        .replace('.Transactional)()', ".Transactional)({ timeout: 'tomorrow' })");
      expect(planted).not.toContain('.Transactional)()');
      writeFileSync(file, planted);
    });
    const lines = [
      `OrdersService.cancel has timeout: tomorrow. Write a time from 1 ms to 24 days, like 250, '250ms' or '2s'.`,
      'OrdersService.place is serializable with retry: 0, so every conflict reaches its caller. Leave retry out, or choose a weaker level.',
    ];

    it('prints the contradictions instead and ends with 1', () => {
      const { status, stdout, stderr } = tool();
      expect({ status, stdout, stderr }).toEqual({ status: 1, stdout: '', stderr: `${lines.join('\n')}\n` });
    });

    it('says what the service says when it is started', () => {
      const { status, stderr } = run([join('dist', 'src', 'main.js')], {
        DATABASE_WRITE_URL: database.urls.app,
        AUTH_SECRET: testSecret,
        LOG_LEVEL: 'silent',
        PORT: '0',
      });
      expect(status).toBe(1);
      expect(stderr).toBe(
        `2 boundaries contradict what was said elsewhere:\n${lines.map((line) => `  ${line}`).join('\n')}\n`,
      );
    });
  });
});
