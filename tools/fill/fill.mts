// Fills a database by sets: as many rows of each kind as are asked for, less those that are there. `npm run db:fill` does, and the benches.
import type { Client } from 'pg';
import { rows } from './rows.mts';
import { type Kind, kinds, type Volume } from './volume.mts';

export interface Filling {
  readonly volume: Volume;
  /** Of the users that are added. */
  readonly passwordHash: string;
  /** Told after each batch: how many there are. */
  readonly onProgress?: (kind: Kind, there: number) => void;
}

/** Of two fills at once the batches take turns. The letters "fill". */
const turn = 0x66_69_6c_6c;
/** A batch takes about half a second: as long others wait for the accounts of the house, and so much is lost where the fill is ended. */
const [wantedMs, longestMs] = [400, 1000];
const [fewest, most] = [100, 20_000];

/**
 * Each batch is one transaction and continues what is stored, so a fill that was ended is continued by the next one, and one that is repeated adds
 * nothing. All rules of the database hold, where they are not switched off on the connection. Gives how many rows of each kind were added.
 */
export async function fill(client: Client, { volume, passwordHash, onProgress }: Filling): Promise<Volume> {
  const added: Record<string, number> = {};
  const hash = client.escapeLiteral(passwordHash);
  for (const kind of kinds) {
    added[kind] = 0;
    let size = fewest;
    for (let there = -1; there < volume[kind];) {
      const began = performance.now();
      const batch = await inTransaction(client, () => add(client, kind, { volume, passwordHash: hash }, size));
      const ms = performance.now() - began;
      if (ms < wantedMs) size = Math.min(most, size * 2);
      else if (ms > longestMs) size = Math.max(fewest, Math.floor(size / 2));
      added[kind] += batch.added;
      there = batch.there;
      onProgress?.(kind, there);
    }
  }
  return added as Record<Kind, number>;
}

/** The next rows of this kind, at most `size`. */
async function add(
  client: Client,
  kind: Kind,
  filling: Pick<Filling, 'volume' | 'passwordHash'>,
  size: number,
): Promise<{ there: number; added: number }> {
  await client.query(`SELECT pg_advisory_xact_lock(${turn})`);
  const { rows: found } = await client.query<{ n: number }>(rows[kind].newest);
  const there = found[0]?.n ?? 0;
  const to = Math.min(filling.volume[kind], there + size);
  if (to <= there) return { there, added: 0 };
  for (const statement of rows[kind].write({ from: there + 1, to, ...filling })) await client.query(statement);
  return { there: to, added: to - there };
}

async function inTransaction<T>(client: Client, work: () => Promise<T>): Promise<T> {
  // Triggers and foreign keys keep their plans: those for tables that were nearly empty read all of what has grown since.
  await client.query('DISCARD PLANS');
  await client.query('BEGIN');
  try {
    const result = await work();
    await client.query('COMMIT');
    return result;
  } catch (error) {
    await client.query('ROLLBACK').catch(() => undefined);
    throw error;
  }
}
