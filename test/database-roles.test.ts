import pg from 'pg';
import { casesOf } from './support/cases.ts';
import { createDatabase, type TestDatabase } from './support/database.ts';

type Role = 'app' | 'reader';
/** insufficient_privilege, and what a server says that only reads. */
const denied = '42501';
const readOnly = '25006';

let database: TestDatabase;
const clients = {} as Record<Role, pg.Client>;
beforeAll(async () => {
  database = await createDatabase();
  for (const role of ['app', 'reader'] as const) {
    clients[role] = new pg.Client({ connectionString: database.urls[role] });
    await clients[role].connect();
  }
});
afterAll(async () => {
  for (const client of Object.values(clients)) await client.end();
  await database.drop();
});

/** The SQLSTATE with which the role is refused; 'done' when it is not. Nothing that was done stays. */
async function attempt(role: Role, sql: string): Promise<string> {
  const client = clients[role];
  await client.query('BEGIN');
  try {
    await client.query(sql);
    return 'done';
  } catch (error) {
    return (error as pg.DatabaseError).code ?? String(error);
  } finally {
    await client.query('ROLLBACK');
  }
}

/** The same on a connection of its own, outside a transaction. */
async function attemptAlone(role: Role, sql: string): Promise<string> {
  const client = new pg.Client({ connectionString: database.urls[role] });
  await client.connect();
  try {
    await client.query(sql);
    return 'done';
  } catch (error) {
    return (error as pg.DatabaseError).code ?? String(error);
  } finally {
    await client.end();
  }
}

const nobody = '00000000-0000-0000-0000-000000000000';
const books = ['transfer', 'entry', 'stock_movement', 'order_line', 'payment', 'refund', 'cancellation'];
const kept = [...books, 'account', '"order"', 'product', 'sku', 'stock', '"user"', 'profile'];

// What holdfast_app may do with the rows of each table beside reading them: whoever adds a table says so, a module in its cases.
const rights: Readonly<Record<string, string>> = {
  ...casesOf('rights'),
  _prisma_migrations: '',
  seed: 'INSERT, UPDATE',
  idempotency_record: 'INSERT, UPDATE, DELETE',
  phased_run: 'INSERT, UPDATE, DELETE',
};

describe('holdfast_app', () => {
  it('may do with each table what is written down, and no more', async () => {
    const rows = await database.query<{ name: string; rights: string }>(
      `SELECT c.relname AS name, coalesce(string_agg(r.name, ', ' ORDER BY r.n), '') AS rights
       FROM pg_class c LEFT JOIN unnest(ARRAY['INSERT', 'UPDATE', 'DELETE', 'TRUNCATE', 'REFERENCES', 'TRIGGER']) WITH ORDINALITY AS r (name, n)
         ON has_table_privilege('holdfast_app', c.oid, r.name)
       WHERE c.relkind IN ('r', 'p', 'v', 'm') AND c.relnamespace = 'public'::regnamespace GROUP BY c.relname`,
    );
    expect(Object.fromEntries(rows.map(({ name, rights: told }) => [name, told]))).toEqual(rights);
  });

  it.each([
    ...books.map((table) => `UPDATE ${table} SET created_at = now()`).filter((sql) => !sql.includes('order_line')),
    'UPDATE order_line SET quantity = 1',
    ...kept.map((table) => `DELETE FROM ${table}`),
  ])('may not rewrite what is in the books: %s', async (sql) => {
    expect(await attempt('app', sql)).toBe(denied);
  });

  it.each([
    'CREATE TABLE mine (id int)',
    'CREATE TEMPORARY TABLE entry (id int)',
    'CREATE SCHEMA mine',
    'CREATE VIEW mine AS SELECT 1',
    'CREATE FUNCTION mine() RETURNS int LANGUAGE sql AS $$ SELECT 1 $$',
    'CREATE INDEX ON account (name)',
    'CREATE EXTENSION btree_gist',
    'ALTER TABLE account ADD COLUMN mine int',
    'ALTER TABLE account DROP CONSTRAINT "insufficient-funds"',
    'ALTER TABLE account OWNER TO holdfast_app',
    'ALTER TABLE account ENABLE ROW LEVEL SECURITY',
    'ALTER TABLE entry DISABLE TRIGGER ALL',
    'ALTER TABLE entry DISABLE TRIGGER entries_are_balanced',
    'ALTER FUNCTION entries_are_balanced() SECURITY DEFINER',
    'DROP TABLE entry',
    'DROP FUNCTION entries_are_balanced() CASCADE',
    'DROP TRIGGER entries_are_balanced ON entry',
    'TRUNCATE entry',
    'TRUNCATE account, entry, transfer CASCADE',
    'LOCK TABLE entry IN ACCESS EXCLUSIVE MODE',
    'COMMENT ON TABLE account IS $$mine$$',
  ])('may not change what the tables are: %s', async (sql) => {
    expect(await attempt('app', sql)).toBe(denied);
  });

  it.each([
    'CREATE ROLE mine',
    'ALTER ROLE holdfast_app SUPERUSER',
    'ALTER ROLE holdfast_reader SET default_transaction_read_only = off',
    'SET ROLE holdfast_owner',
    'SET ROLE holdfast_reader',
    'SET SESSION AUTHORIZATION holdfast_owner',
    'SET session_replication_role = replica',
    'GRANT holdfast_owner TO holdfast_app',
    'SELECT * FROM pg_authid',
    'SELECT * FROM pg_shadow',
    'SELECT pg_read_file($$PG_VERSION$$)',
    'SELECT pg_ls_dir($$.$$)',
    'SELECT pg_reload_conf()',
    `COPY (SELECT 1) TO PROGRAM 'cat'`,
    `COPY "user" TO '/tmp/users'`,
    `COPY "user" FROM '/etc/passwd'`,
    'SELECT lo_import($$/etc/passwd$$)',
    'INSERT INTO _prisma_migrations (id, checksum, migration_name) VALUES ($$1$$, $$1$$, $$1$$)',
    'DELETE FROM _prisma_migrations',
  ])('may not reach beyond the tables: %s', async (sql) => {
    expect(await attempt('app', sql)).toBe(denied);
  });

  it.each(['ALTER SYSTEM SET fsync = off', 'CREATE DATABASE mine', 'DROP DATABASE postgres'])(
    'may not reach beyond the database: %s',
    async (sql) => expect(await attemptAlone('app', sql)).toBe(denied),
  );

  it('may not give away what was given to it', async () => {
    // PostgreSQL only warns that nothing was granted.
    await attemptAlone('app', 'GRANT INSERT ON account TO holdfast_reader');
    const may = `SELECT has_table_privilege('holdfast_reader', 'account', 'INSERT') AS may`;
    expect(await database.query(may)).toEqual([{ may: false }]);
  });

  it.each([
    'SELECT * FROM account FOR NO KEY UPDATE',
    'SELECT * FROM "order" FOR NO KEY UPDATE',
    'SELECT * FROM stock FOR NO KEY UPDATE',
    'SELECT * FROM session FOR NO KEY UPDATE',
    'SELECT migration_name FROM _prisma_migrations',
    `UPDATE account SET name = name`,
    'UPDATE stock SET on_hand = on_hand, movement_count = movement_count',
    'UPDATE "user" SET email = email, version = version + 1',
    'DELETE FROM image',
    `INSERT INTO "user" (id, email, password_hash) VALUES ('${nobody}', 'a@example.com', 'x')`,
    'SHOW transaction_isolation',
  ])('may do its work: %s', async (sql) => {
    expect(await attempt('app', sql)).toBe('done');
  });
});

describe('holdfast_reader', () => {
  it.each([
    ['on the replica', 'reader'],
    ['on the primary', 'primary'],
  ] as const)('may read every table and write none, %s', async (_, where) => {
    if (where === 'primary') await useReaderOnPrimary();
    const tables = await database.query<{ name: string }>(
      `SELECT format('%I', tablename) AS name FROM pg_tables WHERE schemaname = 'public'`,
    );
    expect(tables.length).toBeGreaterThan(15);
    for (const { name } of tables) {
      expect(await attempt('reader', `SELECT * FROM ${name} LIMIT 1`)).toBe('done');
      // Allowed to write by itself, were it not for its rights: a reader can turn its own default off.
      for (const sql of [`INSERT INTO ${name} DEFAULT VALUES`, `DELETE FROM ${name}`, `TRUNCATE ${name}`])
        expect({ name, sql, refused: await attempt('reader', `SET TRANSACTION READ WRITE; ${sql}`) }).toEqual({
          name,
          sql,
          refused: where === 'primary' ? denied : expect.stringMatching(`0A000|${denied}|${readOnly}`),
        });
    }
  });

  it.each([
    'CREATE TABLE mine (id int)',
    'CREATE TEMPORARY TABLE mine (id int)',
    'UPDATE account SET balance = 0',
    'SELECT * FROM account FOR UPDATE',
    'SELECT * FROM account FOR KEY SHARE',
    'LOCK TABLE account IN ROW EXCLUSIVE MODE',
    'SET ROLE holdfast_app',
    'SELECT * FROM pg_authid',
    `SELECT setval('mine', 1)`,
    `COPY (SELECT 1) TO PROGRAM 'cat'`,
  ])('may not, even where it could write: %s', async (sql) => {
    const refused = await attempt('reader', `SET TRANSACTION READ WRITE; ${sql}`);
    expect(refused).toMatch(sql.includes('setval') ? '42P01' : denied);
  });

  it('is read-only by default as well', async () => {
    expect(await attempt('reader', `SELECT nextval('mine')`)).toBe('42P01');
    const { rows } = await clients.reader.query('SHOW default_transaction_read_only');
    expect(rows).toEqual([{ default_transaction_read_only: 'on' }]);
  });

  // The replica refuses every write by itself; to see what the role may do, it is asked on the primary from here on.
  async function useReaderOnPrimary(): Promise<void> {
    const { host } = new URL(database.urls.app);
    await clients.reader.end();
    clients.reader = new pg.Client({
      connectionString: Object.assign(new URL(database.urls.reader), { host }).href,
    });
    await clients.reader.connect();
  }
});

describe('everybody else', () => {
  it('may not even connect', async () => {
    const rows = await database.query(
      `SELECT acl.privilege_type FROM pg_database, aclexplode(coalesce(datacl, acldefault('d', datdba))) acl
       WHERE datname = current_database() AND acl.grantee = 0`,
    );
    expect(rows).toEqual([]);
  });

  it('owns nothing in the schema and may make nothing in it', async () => {
    const rows = await database.query(
      `SELECT acl.privilege_type FROM pg_namespace, aclexplode(nspacl) acl
       WHERE nspname = 'public' AND acl.grantee = 0 AND acl.privilege_type <> 'USAGE'`,
    );
    expect(rows).toEqual([]);
  });
});
