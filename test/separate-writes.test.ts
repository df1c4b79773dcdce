/** @servers any */
import type { LoggerService } from '@nestjs/common';
import { Injectable } from '@nestjs/common';
import { makeConfig } from '../src/config/config.ts';
import { readEnvironment } from '../src/config/environment.ts';
import { AccountsService } from '../src/modules/accounts/accounts.service.ts';
import { separateWritesFound } from '../src/transactions/boundary/channels.ts';
import { CommitOutcomeUnknownError, SeparateWritesError } from '../src/transactions/errors.ts';
import { afterCommit } from '../src/transactions/hooks.ts';
import { Transactional } from '../src/transactions/transactional.ts';
import { allowSeparateWrites, unitOfWork } from '../src/transactions/unit-of-work.ts';
import { startApp } from './support/app.ts';
import { errorOf, fresh } from './support/bare.ts';
import { type Core, startCore } from './support/core.ts';
import { eventually } from './support/crowd.ts';
import { createDatabase, type TestDatabase } from './support/database.ts';
import { makers } from './support/make.ts';
import { Marks, marksLike } from './support/marks.ts';
import { startProxy } from './support/proxy.ts';
import { testSecret } from './support/secret.ts';

@Injectable()
class Shop {
  constructor(readonly marks: Marks) {}

  write = (slug: string): Promise<void> => this.marks.write(slug);

  @Transactional()
  async sell(slug: string): Promise<void> {
    await this.marks.write(slug);
  }

  @Transactional()
  async sellTwice(slug: string): Promise<void> {
    await this.marks.write(`${slug}-1`);
    await this.sell(`${slug}-2`);
  }

  @Transactional({ propagation: 'requires-new' })
  async count(slug: string): Promise<void> {
    await this.marks.writeRaw(slug);
  }

  @Transactional({ propagation: 'not-supported' })
  async note(slug: string): Promise<void> {
    await this.marks.write(slug);
  }

  @Transactional()
  async look(): Promise<number> {
    return this.marks.pid();
  }
}

let database: TestDatabase;
let core: Core;
let shop: Shop;
beforeAll(async () => {
  database = await createDatabase();
  core = await startCore(database, [Marks, Shop]);
  shop = core.get(Shop);
});
afterAll(async () => {
  await core.close();
  await database.drop();
});

type Work = (name: string) => Promise<unknown>;
const inUnit = (name: string, work: Work): Promise<unknown> => unitOfWork('POST /v1/sales', () => work(name));

/** What two writes of one unit may be made of, each named by its beginning. */
const refused: Record<string, Work> = {
  'two statements': async (name) => {
    await shop.write(`${name}-1`);
    await shop.write(`${name}-2`);
  },
  'a raw statement behind a call of a model': async (name) => {
    await shop.write(`${name}-1`);
    await shop.marks.writeRaw(`${name}-2`);
  },
  'a bounded method and a statement beside it': async (name) => {
    await shop.sell(`${name}-1`);
    await shop.write(`${name}-2`);
  },
  'a statement and a bounded method beside it': async (name) => {
    await shop.write(`${name}-1`);
    await shop.sell(`${name}-2`);
  },
  'two bounded methods in turn': async (name) => {
    await shop.sell(`${name}-1`);
    await core.run({}, () => shop.sell(`${name}-2`));
  },
  'a loop of boundaries': async (name) => {
    for (const n of [1, 2, 3]) await shop.sell(`${name}-${n}`);
  },
  'two statements at once': async (name) => {
    await Promise.all([shop.write(`${name}-1`), shop.write(`${name}-2`)]);
  },
  'a statement that no boundary holds, as it is asked for by not-supported': async (name) => {
    await shop.note(`${name}-1`);
    await shop.note(`${name}-2`);
  },
  'a boundary that swallows the refusal': async (name) => {
    await shop.write(`${name}-1`);
    await core.run({}, async () => {
      await shop.write(`${name}-2`).catch(() => undefined);
      await shop.write(`${name}-3`);
    });
  },
};

describe('a second write that would be stored by itself', () => {
  it.each(Object.entries(refused))('is refused by name, with both places, and not stored: %s', async (_, work) => {
    const name = fresh('refused');
    const error = (await errorOf(inUnit(name, work))) as SeparateWritesError;
    expect(error).toBeInstanceOf(SeparateWritesError);
    expect(error.unit).toBe('POST /v1/sales');
    for (const { what, calledAt } of [error.first, error.second]) {
      expect(what).toMatch(/product\.create|\$executeRaw/);
      expect(calledAt).toContain('separate-writes.test.ts');
      expect(error.message).toContain(`${what} `);
      expect(error.message).toContain(calledAt);
    }
    await eventually(
      () => marksLike(database, name),
      (marks) => marks.length === 1,
    );
  });

  it('is let pass when it is one of the same boundary, of one beside it that says so, or only reads', async () => {
    const name = fresh('passed');
    await inUnit(name, () => shop.sellTwice(name));
    await inUnit(name, async () => {
      await core.run({}, async () => {
        await shop.write(`${name}-3`);
        await shop.count(`${name}-4`);
        await shop.note(`${name}-5`);
      });
      await shop.look();
      await shop.marks.pid();
    });
    expect(await marksLike(database, name)).toHaveLength(5);
  });

  it('is let pass when nothing of the first one is stored', async () => {
    const name = fresh('undone');
    await shop.write(name);
    await inUnit(name, async () => {
      await expect(shop.write(name)).rejects.toThrow();
      await expect(shop.sell(name)).rejects.toThrow();
      await core
        .run({}, async () => {
          await shop.write(`${name}-1`);
          throw new TypeError('changed my mind');
        })
        .catch(() => undefined);
      await shop.sell(`${name}-2`);
    });
    expect(await marksLike(database, name)).toEqual([name, `${name}-2`]);
  });

  it('is refused when nobody knows whether the first one is stored', async () => {
    const name = fresh('unknown');
    const proxy = await startProxy(database.urls.app);
    const urls = { app: proxy.through(database.urls.app) };
    const variables = { DATABASE_POOL_SIZE: '1', DATABASE_POOL_WAIT_MS: '200' };
    const far = await startCore(database, [Marks], { urls, variables });
    try {
      const { run } = far;
      await run({}, () => far.get(Marks).pid());
      proxy.refuseNew(true);
      proxy.trap({ text: 'COMMIT', on: `${name}-1`, when: 'after', how: 'cut' });
      await inUnit(name, async () => {
        const first = run({ timeout: '600ms' }, () => far.get(Marks).write(`${name}-1`));
        await expect(first).rejects.toBeInstanceOf(CommitOutcomeUnknownError);
        proxy.refuseNew(false);
        await expect(far.get(Marks).write(`${name}-2`)).rejects.toBeInstanceOf(SeparateWritesError);
      });
      expect(await marksLike(database, name)).toEqual([`${name}-1`]);
    } finally {
      await proxy.close();
      await far.close();
    }
  });

  it('is one boundary however often it is run again', async () => {
    const name = fresh('again');
    let runs = 0;
    await inUnit(name, () =>
      core.run({}, async () => {
        await shop.write(`${name}-${++runs}`);
        if (runs < 3)
          await shop.marks.db.$executeRaw`DO $$ BEGIN RAISE EXCEPTION 'again' USING ERRCODE = '40001'; END $$`;
      }),
    );
    expect(await marksLike(database, name)).toEqual([`${name}-3`]);
  });

  it('is let pass where somebody says why', async () => {
    const name = fresh('meant');
    await inUnit(name, async () => {
      await shop.write(`${name}-1`);
      await allowSeparateWrites('a line of the log stays', () => shop.write(`${name}-2`));
      await allowSeparateWrites('each is whole by itself', async () => {
        for (const n of [3, 4]) await shop.sell(`${name}-${n}`);
      });
    });
    expect(await marksLike(database, name)).toHaveLength(4);
    expect(() => allowSeparateWrites(' ', () => undefined)).toThrow(TypeError);
  });

  it('belongs to another unit where nothing says that it belongs to this one', async () => {
    const name = fresh('apart');
    for (const n of [1, 2]) await unitOfWork('a job', () => shop.write(`${name}-${n}`));
    for (const n of [3, 4]) await shop.write(`${name}-${n}`);
    expect(await marksLike(database, name)).toHaveLength(4);
  });
});

describe('what begins by itself', () => {
  const heard: SeparateWritesError[] = [];
  const listen = (message: unknown): void => void heard.push((message as { error: SeparateWritesError }).error);
  beforeAll(() => separateWritesFound.subscribe(listen));
  afterAll(() => separateWritesFound.unsubscribe(listen));

  it('a hook is a unit of its own', async () => {
    const name = fresh('hook');
    heard.length = 0;
    await inUnit(name, () =>
      core.run({ name: 'Shop.sell' }, async () => {
        await shop.write(`${name}-0`);
        afterCommit(() => shop.write(`${name}-1`));
        afterCommit(async () => {
          await shop.write(`${name}-2`);
          await shop.write(`${name}-3`);
        });
      }),
    );
    expect(await marksLike(database, name)).toEqual([`${name}-0`, `${name}-1`, `${name}-2`]);
    expect(heard.map(({ unit }) => unit)).toEqual(['a hook of Shop.sell']);
  });

  it('a job that is begun with the service and names no turns is refused at its second one', async () => {
    const name = fresh('job');
    heard.length = 0;
    const turns: Promise<unknown>[] = [];
    const timer = unitOfWork('the start of the service', () =>
      setInterval(() => turns.push(shop.write(`${name}-${turns.length}`).catch(() => undefined)), 5),
    );
    await eventually(
      async () => turns.length,
      (n) => n >= 3,
    );
    clearInterval(timer);
    await Promise.all(turns);
    expect(await marksLike(database, name)).toEqual([`${name}-0`]);
    expect(heard[0]?.unit).toBe('the start of the service');
  });

  it('a request is answered 500, and its second write is not stored', async () => {
    const service = await startApp();
    const ada = await makers(service).user();
    const accounts = service.app.get(AccountsService);
    const { open } = accounts;
    accounts.open = async (...args) => {
      await open.apply(accounts, args);
      return open.apply(accounts, args);
    };
    heard.length = 0;
    const { status } = await ada.api.post('/v1/accounts', { currency: 'EUR' }).unset('idempotency-key');
    const { body } = await ada.api.get('/v1/accounts').expect(200);
    await service.close();
    expect(heard.map(({ unit }) => unit)).toEqual(['POST /v1/accounts']);
    expect([status, body.data.length]).toEqual([500, 2]);
  });
});

describe('SEPARATE_WRITES', () => {
  const modeOf = (variables: Record<string, string>): string => {
    const own = { DATABASE_WRITE_URL: database.urls.app, AUTH_SECRET: testSecret };
    const environment = readEnvironment({ ...own, ...variables });
    return makeConfig(environment as Parameters<typeof makeConfig>[0]).transactions.separateWrites;
  };

  it('is raise unless it is set, and log in production', () => {
    expect(modeOf({})).toBe('raise');
    expect(modeOf({ NODE_ENV: 'test' })).toBe('raise');
    expect(modeOf({ NODE_ENV: 'production' })).toBe('log');
    expect(modeOf({ NODE_ENV: 'production', SEPARATE_WRITES: 'raise' })).toBe('raise');
    expect(modeOf({ SEPARATE_WRITES: 'off' })).toBe('off');
  });

  it.each([
    ['log', 1],
    ['off', 0],
  ])('%s: all is stored, and a unit is warned of %i times', async (mode, times) => {
    const warnings: unknown[][] = [];
    const ignore = (): void => undefined;
    const warn = (...line: unknown[]): void => void warnings.push(line);
    const logger: LoggerService = { log: ignore, error: ignore, warn };
    const own = await startCore(database, [Marks, Shop], { variables: { SEPARATE_WRITES: mode }, logger });
    const name = fresh(mode);
    warnings.length = 0;
    await unitOfWork('POST /v1/sales', async () => {
      for (const n of [1, 2, 3]) await own.get(Shop).write(`${name}-${n}`);
    });
    await own.close();
    expect(await marksLike(database, name)).toHaveLength(3);
    expect(warnings).toHaveLength(times);
    for (const [said] of warnings)
      expect(said).toMatchObject({ unit: 'POST /v1/sales', err: { name: 'SeparateWritesError' } });
  });
});
