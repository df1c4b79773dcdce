import { randomUUID } from 'node:crypto';
import { PrismaPg } from '@prisma/adapter-pg';
import {
  ColumnTypeEnum,
  type SqlDriverAdapter,
  type SqlMigrationAwareDriverAdapterFactory,
  type SqlQueryable,
} from '@prisma/driver-adapter-utils';
import { Client, escapeIdentifier, Pool, type QueryArrayResult } from 'pg';
import { LockGuard, type Patience } from './migration-lock.mts';

export type Datasource = { url?: string; shadowDatabaseUrl?: string };
export type DatabaseError = Error & { code?: string; meta?: unknown };

const CONNECT_MS = 10_000;

/** The database that migrations work on, as Prisma's schema engine wants it. */
export class MigrationDatabase implements SqlMigrationAwareDriverAdapterFactory {
  readonly provider = 'postgres';
  readonly adapterName = '@prisma/adapter-pg';
  readonly #datasource: Datasource;
  readonly #patience: Patience;
  readonly #shadows = new Set<string>();

  constructor(datasource: Datasource, patience: Patience) {
    this.#datasource = datasource;
    this.#patience = patience;
  }

  get host(): string {
    return this.#url().host;
  }

  get user(): string {
    return decodeURIComponent(this.#url().username);
  }

  get name(): string {
    return decodeURIComponent(this.#url().pathname.slice(1));
  }

  connect(): Promise<SqlDriverAdapter> {
    return this.#connect(this.#url());
  }

  /** A database of its own for each command, dropped when the engine lets it go. */
  async connectToShadowDb(): Promise<SqlDriverAdapter> {
    if (this.#datasource.shadowDatabaseUrl) {
      throw new Error('Remove shadowDatabaseUrl from prisma.config.ts: a shadow database is made for every command.');
    }
    const name = `prisma_migrate_shadow_db_${randomUUID()}`;
    this.#shadows.add(name);
    await this.#administer(`CREATE DATABASE ${escapeIdentifier(name)}`);
    return this.#connect(this.#url(name), () => this.#dropShadow(name));
  }

  /** For a command that is interrupted: a query still at work in one is ended with it. */
  async dropShadows(): Promise<void> {
    await Promise.allSettled([...this.#shadows].map((name) => this.#dropShadow(name)));
  }

  async check(): Promise<void> {
    await withClient(this.#url(), (client) => client.query('SELECT 1'));
  }

  /** The migration that has begun and not ended; null when there is none. */
  async findUnfinished(): Promise<string | null> {
    return withClient(this.#url(), async (client) => {
      const { rows } = await client.query<{ name: string }>(
        `SELECT migration_name AS name FROM ${escapeIdentifier(schemaOf(this.#url()))}._prisma_migrations
         WHERE finished_at IS NULL AND rolled_back_at IS NULL ORDER BY started_at DESC LIMIT 1`,
      );
      return rows[0]?.name ?? null;
    });
  }

  async create(): Promise<void> {
    await this.#administer(`CREATE DATABASE ${escapeIdentifier(this.name)}`);
  }

  async drop(name = this.name): Promise<void> {
    await this.#administer(`DROP DATABASE IF EXISTS ${escapeIdentifier(name)} WITH (FORCE)`);
  }

  async #connect(url: URL, afterwards = async (): Promise<void> => undefined): Promise<SqlDriverAdapter> {
    const pool = poolOfOne(url);
    const guard = new LockGuard(pool, url.href, this.#patience);
    const inner = await new PrismaPg(pool, { schema: schemaOf(url), onPoolError: () => undefined }).connect();
    const dispose = async (): Promise<void> => {
      await pool.end();
      await afterwards();
    };
    // The adapter's own cuts the script at every semicolon, also within a function's body or a string.
    const executeScript = async (sql: string): Promise<void> => {
      await guard.run(sql, async () => void (await inner.executeRaw({ sql, args: [], argTypes: [] })));
    };
    return adapt<SqlDriverAdapter>(inner, { dispose, executeScript });
  }

  async #dropShadow(name: string): Promise<void> {
    await this.drop(name);
    this.#shadows.delete(name);
  }

  async #administer(sql: string): Promise<void> {
    await withClient(this.#url('postgres'), (client) => client.query(sql));
  }

  #url(database?: string): URL {
    const { url } = this.#datasource;
    if (!url) throw new Error('No database is named: set DATABASE_OWNER_URL.');
    return database === undefined ? new URL(url) : Object.assign(new URL(url), { pathname: `/${database}` });
  }
}

async function withClient<T>({ href }: URL, work: (client: Client) => Promise<T>): Promise<T> {
  const client = new Client({ connectionString: href, connectionTimeoutMillis: CONNECT_MS });
  await client.connect();
  try {
    return await work(client);
  } finally {
    await client.end();
  }
}

/** One connection, as the native engine has: the engine's advisory lock and what a migration sets are the session's. */
function poolOfOne(url: URL): Pool {
  const options = `-c search_path=${escapeIdentifier(schemaOf(url)).replaceAll(' ', '\\ ')}`;
  return new SteadyPool({ connectionString: url.href, Client: CharClient, max: 1, idleTimeoutMillis: 0, options });
}

function schemaOf(url: URL): string {
  return url.searchParams.get('schema') ?? 'public';
}

// adapter-pg refuses PostgreSQL's internal type "char", in which the catalogue keeps its flags. The client reports such a
// column as text and remembers it with the rows; the adapter around it gives the engine the type it expects.
const CHAR_OID = 18;
const TEXT_OID = 25;
const charColumns = new WeakMap<object, number[]>();

/** The pool of pg ends a connection on which a statement has failed: the lock that the engine holds on it would be gone. */
class SteadyPool extends Pool {
  override async query(...params: any[]): Promise<any> {
    const client = await this.connect();
    try {
      return await (client.query as any)(...params);
    } finally {
      client.release();
    }
  }
}

class CharClient extends Client {
  // pg's overloads cannot be spelled once: this forwards whatever it is given.
  override query(...params: any[]): any {
    const last = params.at(-1);
    if (typeof last !== 'function') return (super.query as any)(...params).then(rememberChars);
    const callback = (error: unknown, result: QueryArrayResult): void => last(error, rememberChars(result));
    return (super.query as any)(...params.slice(0, -1), callback);
  }
}

function rememberChars<T extends QueryArrayResult | undefined>(result: T): T {
  const fields = result?.fields ?? [];
  const columns = fields.flatMap((field, index) => (field.dataTypeID === CHAR_OID ? [index] : []));
  for (const field of fields) if (field.dataTypeID === CHAR_OID) field.dataTypeID = TEXT_OID;
  if (result && columns.length > 0) charColumns.set(result.rows, columns);
  return result;
}

function adapt<T extends SqlQueryable>(adapter: T, own: Partial<T>): T {
  const queryRaw: T['queryRaw'] = async (query) => {
    const result = await adapter.queryRaw(query);
    for (const index of charColumns.get(result.rows) ?? []) result.columnTypes[index] = ColumnTypeEnum.Character;
    return result;
  };
  return new Proxy(adapter, { get: (target, key) => memberOf(target, { queryRaw, ...own }, key) });
}

function memberOf<T extends SqlQueryable>(target: T, own: Partial<T>, key: string | symbol): unknown {
  if (Object.hasOwn(own, key)) return own[key as keyof T];
  const member: unknown = target[key as keyof T];
  if (typeof member !== 'function') return member;
  if (key !== 'startTransaction') return member.bind(target);
  return async (...params: unknown[]) => adapt((await member.apply(target, params)) as SqlQueryable, {});
}
