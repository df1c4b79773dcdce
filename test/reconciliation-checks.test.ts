/** @servers any */
import { readdirSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { allChecks, defineChecks } from '../src/reconciliation/check.ts';
import { findMistakes } from './support/books.ts';
import { createDatabase, type TestDatabase } from './support/database.ts';

let database: TestDatabase;
beforeAll(async () => {
  database = await createDatabase();
});
afterAll(() => database.drop());

describe('the checks of the modules', () => {
  it('are all loaded with their modules: a file of checks that its *.module.ts does not import is asked by nobody', () => {
    const loaded = allChecks().map(({ mistake }) => mistake);
    const files = readdirSync('src/modules', { recursive: true, encoding: 'utf8' }).filter((file) =>
      file.endsWith('.checks.ts'),
    );
    expect(files.length).toBeGreaterThan(0);
    // Those that are loaded already are not loaded again.
    for (const file of files) createRequire(__filename)(join(process.cwd(), 'src', 'modules', file));
    expect(allChecks().map(({ mistake }) => mistake)).toEqual(loaded);
  });

  it('of a module that is new are asked with the others, without a list of them', async () => {
    expect(await findMistakes(database)).toEqual([]);
    const mistake = 'a product has the name of the test';
    defineChecks([{ mistake, table: 'product', wrong: `SELECT slug AS id FROM product WHERE name = 'Wrong'` }]);
    await database.query(`INSERT INTO product (id, slug, name) VALUES (gen_random_uuid(), 'wrong', 'Wrong')`);
    expect(await findMistakes(database)).toEqual([`${mistake}: wrong`]);
    expect(() => defineChecks([{ mistake, table: 'sku', wrong: 'SELECT' }])).toThrow(
      new TypeError(`The check "${mistake}" is defined twice.`),
    );
  });
});
