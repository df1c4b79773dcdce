// The tables of the modules may be locked in the tests of the core too.
import '../../src/app.module.ts';
import { type INestApplicationContext, type LoggerService, Module, type Type } from '@nestjs/common';
import { ModuleRef, NestFactory } from '@nestjs/core';
import { makeConfig } from '../../src/config/config.ts';
import { configModule } from '../../src/config/slices.ts';
import { readEnvironment } from '../../src/config/environment.ts';
import { ExternalWorkGuard } from '../../src/transactions/external-work.ts';
import { Transactions } from '../../src/transactions/transactions.ts';
import { TransactionsModule } from '../../src/transactions/transactions.module.ts';
import type { Variables } from './app.ts';
import type { TestDatabase } from './database.ts';
import { keepingErrors } from './service-errors.ts';
import { testSecret } from './secret.ts';

/** The core and what a test puts on it, without HTTP and without the modules. */
export interface Core {
  readonly app: INestApplicationContext;
  readonly transactions: Transactions;
  readonly run: Transactions['run'];
  get<T>(token: Type<T>): T;
  close(): Promise<void>;
}

export interface CoreSettings {
  /** Where the database is, instead of where it really is: behind a proxy. */
  readonly urls?: Partial<TestDatabase['urls']>;
  readonly variables?: Variables;
  readonly logger?: LoggerService;
}

export async function startCore(
  database: Pick<TestDatabase, 'urls'>,
  providers: Type[],
  { urls = {}, variables = {}, logger }: CoreSettings = {},
): Promise<Core> {
  const { app: writeUrl, reader } = { ...database.urls, ...urls };
  const environment = readEnvironment({
    DATABASE_WRITE_URL: writeUrl,
    DATABASE_READ_URL: reader,
    AUTH_SECRET: testSecret,
    // A database that does not answer is what the test is about.
    DATABASE_START_WAIT_MS: '0',
    ...variables,
  });
  const config = makeConfig(environment as Parameters<typeof makeConfig>[0]);
  let modules: ModuleRef | undefined;
  @Module({ imports: [configModule(config), TransactionsModule], providers })
  class TestModule {
    constructor(ref: ModuleRef) {
      modules = ref;
    }
  }
  const app = await NestFactory.createApplicationContext(TestModule, {
    logger: logger ?? keepingErrors(),
    abortOnError: false,
  }).catch((error: unknown) => {
    // Nest closes nothing where a start fails.
    modules?.get(ExternalWorkGuard, { strict: false }).onApplicationShutdown();
    throw error;
  });
  const transactions = app.get(Transactions);
  return {
    app,
    transactions,
    run: (options, work) => transactions.run(options, work),
    get: (token) => app.get(token),
    close: () => app.close(),
  };
}
