/** @servers any */
import { startApp, type TestApp } from './support/app.ts';
import { findMistakes } from './support/books.ts';
import { send } from './support/requests.ts';
import { allRoutes } from './support/routes.ts';

// While a release is rolled out, the version before serves from tables that the new one has added to.

let service: TestApp;
beforeAll(async () => (service = await startApp()));
afterAll(() => service.close());

const tables = async (): Promise<string[]> => {
  const rows = await service.database.query<{ name: string }>(
    `SELECT tablename AS name FROM pg_tables WHERE schemaname = 'public' AND tablename <> '_prisma_migrations'`,
  );
  return rows.map(({ name }) => name);
};

it('every route works while each table has a column that only a later version knows, and each row has its default', async () => {
  const names = await tables();
  for (const name of names)
    await service.database.query(`ALTER TABLE "${name}" ADD COLUMN later int NOT NULL DEFAULT 7`);
  const failed: string[] = [];
  let sent = 0;
  // Whatever they need has been made by then, in these tables as well.
  for (const { name, operation, caller, path, body } of await allRoutes(service)) {
    const { status } = await send(operation, caller.api, path, body);
    if (status >= 500) failed.push(`${name}: ${status}`);
    sent++;
  }
  expect(failed).toEqual([]);
  expect(sent).toBeGreaterThan(40);
  const counts = names.map(
    (name) =>
      `SELECT '${name}' AS name, count(*)::int AS rows, count(*) FILTER (WHERE later = 7)::int AS right FROM "${name}"`,
  );
  const rows = await service.database.query<{ name: string; rows: number; right: number }>(counts.join(' UNION ALL '));
  expect(rows.filter((row) => row.rows !== row.right)).toEqual([]);
  const written = rows.filter((row) => row.rows > 0).map((row) => row.name);
  expect(written).toEqual(
    expect.arrayContaining(['order', 'order_line', 'payment', 'refund', 'cancellation', 'entry']),
  );
  expect(await findMistakes(service.database)).toEqual([]);
});
