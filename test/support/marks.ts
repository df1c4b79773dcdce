import { Injectable } from '@nestjs/common';
import { newId } from '../../src/kernel/ids.ts';
import { InjectDatabase, type Sql, type Tables } from '../../src/transactions/tables.ts';
import type { TestDatabase } from './database.ts';

/** A repository for tests of the core. It leaves marks: products whose slug says who wrote them. */
@Injectable()
export class Marks {
  constructor(@InjectDatabase() readonly db: Tables<'product' | 'sku'> & Sql) {}

  async write(slug: string): Promise<void> {
    await this.db.product.create({ data: { id: newId(), slug, name: slug } });
  }

  async writeRaw(slug: string): Promise<void> {
    await this.db.$executeRaw`INSERT INTO product (id, slug, name) VALUES (${newId()}::uuid, ${slug}, ${slug})`;
  }

  async pid(): Promise<number> {
    const [row] = await this.db.$queryRaw<[{ pid: number }]>`SELECT pg_backend_pid() AS pid`;
    return row.pid;
  }

  /** The id of the transaction that the question is in; asking gives it one. */
  async transactionId(): Promise<string> {
    const [row] = await this.db.$queryRaw<[{ id: string }]>`SELECT pg_current_xact_id()::text AS id`;
    return row.id;
  }
}

/** The slugs that begin like this, seen from a connection that has no part in any boundary. */
export async function marksLike({ query }: Pick<TestDatabase, 'query'>, beginning: string): Promise<string[]> {
  const rows = await query<{ slug: string }>(`SELECT slug FROM product WHERE starts_with(slug, $1) ORDER BY slug`, [
    beginning,
  ]);
  return rows.map(({ slug }) => slug);
}
