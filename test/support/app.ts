import { randomUUID } from 'node:crypto';
import type { Type } from '@nestjs/common';
import type { NestFastifyApplication } from '@nestjs/platform-fastify';
import { Logger } from 'nestjs-pino';
import request from 'supertest';
import { createApp } from '../../src/app.ts';
import { makeConfig } from '../../src/config/config.ts';
import { readEnvironment } from '../../src/config/environment.ts';
import { unitOfWork } from '../../src/transactions/unit-of-work.ts';
import { demandDeclared, keyNeedOf } from './contract.ts';
import { keepingErrors } from './service-errors.ts';
import { unlimited } from './unlimited.ts';
import { createDatabase, type TestDatabase } from './database.ts';
import { testSecret } from './secret.ts';

/** A running service on a database of its own. */
export interface TestApp {
  readonly app: NestFastifyApplication;
  readonly url: string;
  readonly database: TestDatabase;
  /** Requests as somebody, by access token; as nobody without. */
  as(token?: string): Api;
  close(): Promise<void>;
}

export interface Api {
  get(path: string): request.Test;
  /** With an Idempotency-Key of its own where the route demands one: what the key would hide shows without it. */
  post(path: string, body?: object): request.Test;
  patch(path: string, body: object): request.Test;
  delete(path: string): request.Test;
}

/** Variables that a test sets beside the usual ones. */
export type Variables = Record<string, string>;

/** `modules` are served beside those of the product. */
export async function startApp(variables: Variables = {}, modules: readonly Type[] = []): Promise<TestApp> {
  const database = await createDatabase();
  const { app, url } = await serve(database, variables, modules).catch(async (error: unknown) => {
    await database.drop();
    throw error;
  });
  return {
    app,
    url,
    database,
    as: (token) => api(url, token),
    close: async () => {
      await app.close();
      await database.drop();
    },
  };
}

/** One more instance on a database that is there. */
export async function serve(
  database: Pick<TestDatabase, 'urls'>,
  variables: Variables = {},
  modules: readonly Type[] = [],
) {
  const environment = readEnvironment({
    DATABASE_WRITE_URL: database.urls.app,
    DATABASE_READ_URL: database.urls.reader,
    // Most tests let one person write and another read at once, without handing over a token.
    DATABASE_READ_CONSISTENCY: 'instance',
    AUTH_SECRET: testSecret,
    // A database that does not answer is what the test is about.
    DATABASE_START_WAIT_MS: '0',
    // A failed test shows what the service told; `LOG_LEVEL=warn npm test` shows all lines as they come.
    LOG_LEVEL: process.env['LOG_LEVEL'] ?? 'silent',
    ...unlimited,
    // Longer than any proof takes.
    AUTH_ACCESS_TOKEN_SECONDS: '86400',
    // Nothing is written but what the test asks for.
    LEDGER_SEAL_INTERVAL_MS: '0',
    RETENTION_SWEEP_INTERVAL_MS: '0',
    EVENT_POLL_INTERVAL_MS: '0',
    WEBHOOK_POLL_INTERVAL_MS: '0',
    MAIL_POLL_INTERVAL_MS: '0',
    ...variables,
  });
  const app = await createApp(makeConfig(environment as Parameters<typeof makeConfig>[0]), modules);
  app.useLogger(keepingErrors(app.get(Logger)));
  // As main does: a job that begins with the service is watched like all else.
  await unitOfWork('the start of the service', () => app.init()).catch(async (error: unknown) => {
    await app.close();
    throw error;
  });
  await app.listen({ host: '127.0.0.1', port: 0 });
  return { app, url: await app.getUrl() };
}

export function api(url: string, token?: string): Api {
  const signed = (test: request.Test) => {
    const checked = held(test);
    return token === undefined ? checked : checked.auth(token, { type: 'bearer' });
  };
  const to = request(url);
  return {
    get: (path) => signed(to.get(path)),
    post: (path, body = {}) => {
      const sent = signed(to.post(path).send(body));
      return isKeyed(path) ? sent.set('idempotency-key', randomUUID()) : sent;
    },
    patch: (path, body) => signed(to.patch(path).send(body)),
    delete: (path) => signed(to.delete(path)),
  };
}

/**
 * Held against the document. supertest writes down for each check where it was asked for, which takes as long as a statement of the database: it
 * is told of no place here, and the place is made to text where a check fails.
 */
function held(test: request.Test): request.Test {
  const place: { stack?: string } = {};
  Error.captureStackTrace(place, held);
  const { stackTraceLimit } = Error;
  Error.stackTraceLimit = 0;
  const checked = test.expect((response) => {
    try {
      demandDeclared(response);
    } catch (error) {
      const { name, message } = error as Error;
      throw Object.assign(error as Error, {
        stack: `${name}: ${message}\n${(place.stack ?? '').replace(/^.*\n/, '')}`,
      });
    }
  });
  Error.stackTraceLimit = stackTraceLimit;
  return checked;
}

// A route that is not in the document is a test's own.
function isKeyed(path: string): boolean {
  const need = keyNeedOf(path);
  return need === 'required' || need === undefined;
}

interface Page<Row> {
  readonly data: Row[];
  readonly hasMore: boolean;
  readonly nextCursor: string | null;
}

/** All rows of a list, read page by page; `path` may have a query. `between` runs after each page. */
export async function readAll<Row = { id: string }>(
  { get }: Api,
  path: string,
  limit = 2,
  between: () => Promise<unknown> = () => Promise.resolve(),
): Promise<Row[]> {
  const rows: Row[] = [];
  const first = `${path}${path.includes('?') ? '&' : '?'}limit=${limit}`;
  for (let next: string | null = first; next !== null;) {
    const page: Page<Row> = (await get(next).expect(200)).body;
    rows.push(...page.data);
    expect(page.data.length).toBeLessThanOrEqual(limit);
    expect(page.hasMore).toBe(page.nextCursor !== null);
    next = page.nextCursor === null ? null : `${first}&cursor=${page.nextCursor}`;
    await between();
  }
  return rows;
}
