import type { TestDatabase } from './database.ts';

/** Ids of rows that can be locked, in their order. */
export interface LockableIds {
  readonly account: readonly string[];
  readonly stock: readonly string[];
  readonly session: readonly string[];
}

/** The house's accounts, and as many stocks and sessions as are asked for. */
export async function lockableRows({ query }: Pick<TestDatabase, 'query'>, count = 4): Promise<LockableIds> {
  await query(`INSERT INTO product (id, slug, name) VALUES (gen_random_uuid(), 'locked', 'Locked')`);
  await query(
    `INSERT INTO sku (id, product_id, code, name, price, currency)
     SELECT gen_random_uuid(), product.id, 'LOCKED-' || n, 'Locked', 1, 'EUR' FROM product, generate_series(1, $1) n`,
    [count],
  );
  await query('INSERT INTO stock (sku_id) SELECT id FROM sku');
  await query(`INSERT INTO "user" (id, email, password_hash) VALUES (gen_random_uuid(), 'locked@example.com', 'none')`);
  await query(
    `INSERT INTO session (id, user_id, expires_at)
     SELECT gen_random_uuid(), "user".id, now() + interval '1 day' FROM "user", generate_series(1, $1)`,
    [count],
  );
  const [account, stock, session] = await Promise.all(
    ['account ORDER BY id', 'stock ORDER BY sku_id', 'session ORDER BY id'].map(async (from) => {
      const key = from.split(' ').at(-1) ?? '';
      return (await query<{ id: string }>(`SELECT ${key} AS id FROM ${from}`)).map(({ id }) => id);
    }),
  );
  return { account: account ?? [], stock: stock ?? [], session: session ?? [] };
}
