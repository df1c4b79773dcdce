import { inspect } from 'node:util';
// The tables of the modules may be locked in the tests of the core too.
import '../../src/app.module.ts';
import { DatabaseClients } from '../../src/database/database-clients.ts';
import { newId } from '../../src/kernel/ids.ts';
import { DATABASE, type Sql, type Tables } from '../../src/transactions/tables.ts';
import type { Variables } from './app.ts';
import { startCore, type Core } from './core.ts';
import type { TestDatabase } from './database.ts';

/** The core with nothing on it but the client that a repository is given. */
export interface Bare extends Core {
  readonly databases: DatabaseClients;
  readonly db: Tables<'product' | 'sku'> & Sql;
  /** Writes a mark: a product whose slug says who wrote it. */
  write(slug: string): Promise<void>;
  /** What the connection is set to, as PostgreSQL says it. */
  show(setting: string): Promise<string>;
  /** Which connection the statement is on. */
  pid(): Promise<number>;
}

/** Starts it on these URLs; without `reader` there is no replica. */
export async function startBare(urls: { app: string; reader?: string }, variables: Variables = {}): Promise<Bare> {
  const all = { superuser: '', owner: '', reader: '', ...urls };
  const core = await startCore({ urls: all }, [], { variables });
  const db = core.app.get<Bare['db']>(DATABASE);
  return {
    ...core,
    databases: core.app.get(DatabaseClients),
    db,
    write: async (slug) => void (await db.product.create({ data: { id: newId(), slug, name: slug } })),
    show: async (name) => {
      const [row] = await db.$queryRaw<{ value: string }[]>`SELECT current_setting(${name}) AS value`;
      return row?.value ?? '';
    },
    pid: async () => {
      const [row] = await db.$queryRaw<{ pid: number }[]>`SELECT pg_backend_pid() AS pid`;
      return row?.pid ?? 0;
    },
  };
}

/** Which of these marks are stored, and each as often as it is. */
export async function stored({ query }: Pick<TestDatabase, 'query'>, slugs: readonly string[]): Promise<string[]> {
  const rows = await query<{ slug: string }>('SELECT slug FROM product WHERE slug = ANY($1) ORDER BY slug', [slugs]);
  return rows.map(({ slug }) => slug);
}

let counted = 0;
/** A name that no other test of this file has. */
export const fresh = (name: string): string => `${name}-${++counted}`;

/** What a promise was rejected with. Throws when it was not. */
export async function errorOf(promise: Promise<unknown>): Promise<Error> {
  const value: unknown = await promise.then(
    (fulfilled) => ({ fulfilled }),
    (error: unknown) => error,
  );
  if (value instanceof Error) return value;
  // Not the whole of a service that has started.
  throw new Error(`expected an error, was given ${inspect(value, { depth: 1 })}`);
}
