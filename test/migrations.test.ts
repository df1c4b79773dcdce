/** @servers any */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { obstaclesIn } from './support/migration-locks.ts';

const folder = join('prisma', 'migrations');
// Those before were written when nobody had any data.
const since = '20261130100000';

it('no migration stands in the way of the service that runs meanwhile, unless it says why it does not', async () => {
  const names = readdirSync(folder).filter((name) => name >= since && name !== 'migration_lock.toml');
  for (const name of names)
    expect([name, await obstaclesIn(name, readFileSync(join(folder, name, 'migration.sql'), 'utf8'))]).toEqual([
      name,
      [],
    ]);
});

describe('in the way are', () => {
  it.each([
    ['an index that is built while writes wait', 'CREATE INDEX a ON product (name)'],
    ['a column of another type', 'ALTER TABLE product ALTER COLUMN name TYPE varchar(900)'],
    ['a column that may no longer be empty', 'ALTER TABLE product ALTER COLUMN name SET NOT NULL'],
    ['a check of all rows', 'ALTER TABLE product ADD CONSTRAINT a CHECK (version > 0)'],
    ['a reference of all rows', 'ALTER TABLE product ADD CONSTRAINT a FOREIGN KEY (id) REFERENCES sku (id)'],
    ['a key that is built', 'ALTER TABLE product ADD CONSTRAINT a UNIQUE (name)'],
    ['a column with a value of its own in each row', 'ALTER TABLE product ADD COLUMN a uuid DEFAULT gen_random_uuid()'],
    ['a column that is generated', 'ALTER TABLE product ADD COLUMN a int GENERATED ALWAYS AS (version + 1) STORED'],
    ['a column that is dropped', 'ALTER TABLE product DROP COLUMN name'],
    ['a column of another name', 'ALTER TABLE product RENAME COLUMN name TO title'],
    ['a change of all rows', `UPDATE product SET name = 'a'`],
    ['a removal of rows', 'DELETE FROM product'],
    [
      'one of several',
      '-- Größe\nCREATE TABLE a (id int);\nCREATE INDEX b ON product (name);\nCREATE INDEX c ON a (id)',
    ],
  ])('%s', async (_, sql) => {
    expect(await obstaclesIn('20261201000000_change', sql)).toEqual([expect.objectContaining({ table: 'product' })]);
    const excused = sql.replace(
      /^(?=(CREATE INDEX b|ALTER|UPDATE|DELETE|CREATE INDEX a))/m,
      '-- Harmless: the table is small.\n',
    );
    expect(await obstaclesIn('20261201000000_change', excused)).toEqual([]);
  });
});

describe('in nobody’s way are', () => {
  it.each([
    'CREATE INDEX CONCURRENTLY a ON product (name)',
    'ALTER TABLE product ADD COLUMN a int',
    `ALTER TABLE product ADD COLUMN a timestamptz NOT NULL DEFAULT now(), ADD COLUMN b text DEFAULT ''`,
    'ALTER TABLE product ADD CONSTRAINT a CHECK (version > 0) NOT VALID',
    'ALTER TABLE product VALIDATE CONSTRAINT a',
    'ALTER TABLE product ADD CONSTRAINT a UNIQUE USING INDEX b',
    'CREATE TABLE a (id int); ALTER TABLE a ADD CONSTRAINT b CHECK (id > 0); CREATE INDEX c ON a (id); DELETE FROM a',
    'ALTER TABLE product ALTER COLUMN name DROP NOT NULL, ALTER COLUMN version SET DEFAULT 2',
    'CREATE FUNCTION f() RETURNS int LANGUAGE sql AS $$ SELECT 1 $$',
  ])('%s', async (sql) => {
    expect(await obstaclesIn('20261201000000_change', sql)).toEqual([]);
  });

  it('what is taken away by a migration that breaks the version before, and says so', async () => {
    const name = '20261201000000_change_breaks_previous';
    expect(await obstaclesIn(name, 'ALTER TABLE product DROP COLUMN name')).toEqual([]);
    expect(await obstaclesIn(name, 'CREATE INDEX a ON product (name)')).toHaveLength(1);
  });
});
