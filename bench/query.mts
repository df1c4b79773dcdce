import pg from 'pg';

/** Runs one statement on a connection of its own, and gives its rows. Throws when it takes longer than half an hour. */
export async function query<Row extends pg.QueryResultRow>(
  url: string,
  sql: string,
  values: readonly unknown[] = [],
): Promise<Row[]> {
  const client = new pg.Client({ connectionString: url, connectionTimeoutMillis: 10_000, query_timeout: 1_800_000 });
  await client.connect();
  return (await client.query<Row>(sql, [...values]).finally(() => client.end())).rows;
}
