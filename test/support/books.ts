// The modules bring the checks.
import '../../src/app.module.ts';
import { reconcile, reconcileIn } from '../../src/reconciliation/reconcile.ts';
import type { TestDatabase } from './database.ts';

/** Where the books are: a database, or the transaction in which a test is rolled back, which nobody else can read. */
type Books = Pick<TestDatabase, 'query'> & Partial<Pick<TestDatabase, 'urls'>>;

/** Everything in the books that does not add up, as sentences; none when all is well. */
export async function findMistakes({ query, urls }: Books): Promise<string[]> {
  const { checks } = await (urls === undefined ? reconcileIn(query) : reconcile(urls.owner));
  return checks.flatMap(({ mistake, first, found }) => [
    ...first.map((id) => `${mistake}: ${id}`),
    ...(found > first.length ? [`${mistake}: ${found - first.length} more`] : []),
  ]);
}

/** Every row of every table but Prisma's own, by table: equal before and after means that nothing was stored. */
export async function allRows({ query }: Pick<TestDatabase, 'query'>): Promise<Record<string, string[]>> {
  const tables = await query<{ name: string }>(
    `SELECT tablename AS name FROM pg_tables WHERE schemaname = 'public' AND tablename <> '_prisma_migrations' ORDER BY 1`,
  );
  const rows: Record<string, string[]> = {};
  for (const { name } of tables)
    rows[name] = (await query<{ row: string }>(`SELECT t::text AS row FROM "${name}" t ORDER BY 1`)).map(
      ({ row }) => row,
    );
  return rows;
}
