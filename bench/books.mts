// After the load: whether what was acknowledged is stored, and whether the books are right, of the service and of its peers.
import { readFileSync } from 'node:fs';
import type { Cluster } from '../src/embedded/cluster.ts';
import { type CaseName, cases, type PeerName, peerNames, type ServiceName } from './cases.mts';
import type { Loaded } from './load.mts';
import { BenchError, end, ownFile, start } from './processes.mts';
import { query } from './query.mts';
import { databaseOf } from './world.mts';

type Unit = 'transfer' | 'order';
type Stored = Record<Unit, number>;

/** Counts what was acknowledged, and what may have been stored without that. */
export class Acknowledged {
  readonly #of = new Map<string, { least: number; most: number }>();

  add(service: ServiceName, name: CaseName, { succeeded, failed }: Loaded): void {
    const { unit, unitsPerRequest, connections } = cases[name];
    const of = `${service === 'holdfast-without-lanes' ? 'holdfast' : service} ${unit}`;
    const counted = this.#of.get(of) ?? { least: 0, most: 0 };
    counted.least += succeeded * unitsPerRequest;
    // When the clock stops, each connection has a request whose answer nobody reads.
    counted.most += (succeeded + failed + connections) * unitsPerRequest;
    this.#of.set(of, counted);
  }

  /** Throws unless all that was acknowledged is stored, and nothing that was not asked for. */
  check(service: ServiceName, stored: Stored): void {
    for (const unit of ['transfer', 'order'] as const) {
      const { least, most } = this.#of.get(`${service} ${unit}`) ?? { least: 0, most: 0 };
      if (stored[unit] < least || stored[unit] > most)
        throw new BenchError(
          `${service} acknowledged ${least} ${unit}s and was asked for at most ${most}, but has stored ${stored[unit]}.`,
        );
    }
  }
}

export async function checkService(cluster: Cluster, acknowledged: Acknowledged, secret: string): Promise<void> {
  const [stored] = await query<Stored>(
    cluster.url('owner'),
    `SELECT (SELECT count(*)::int FROM transfer WHERE kind = 'transfer') AS transfer, (SELECT count(*)::int FROM "order") AS "order"`,
  );
  if (stored !== undefined) acknowledged.check('holdfast', stored);
  const databases = { DATABASE_WRITE_URL: cluster.url('app'), DATABASE_READ_URL: cluster.url('reader') };
  const tool = ownFile('..', 'tools', 'reconcile.mjs');
  const reconcile = start('npm run reconcile', tool, [], { ...databases, AUTH_SECRET: secret }, 'pipe');
  const code = await end(reconcile, 600_000);
  if (code !== 0)
    throw new BenchError(`The books of the service are not right; npm run reconcile says:\n${reconcile.said()}`);
}

export async function checkPeers(cluster: Cluster, acknowledged: Acknowledged): Promise<void> {
  for (const peer of peerNames) {
    const url = cluster.url('owner', databaseOf(peer));
    const [stored] = await query<Stored>(
      url,
      `SELECT (SELECT count(*) FROM transfer)::int - (SELECT count(*) FROM payment)::int AS transfer, (SELECT count(*)::int FROM "order") AS "order"`,
    );
    if (stored !== undefined) acknowledged.check(peer, stored);
    await checkBooks(peer, url);
  }
}

async function checkBooks(peer: PeerName, url: string): Promise<void> {
  const [books = {}] = await query<Record<string, boolean>>(url, readFileSync(ownFile('peers', 'books.sql'), 'utf8'));
  const wrong = Object.entries(books).filter(([, isTrue]) => !isTrue);
  if (wrong.length > 0)
    throw new BenchError(`The books of ${peer} are wrong, not true is: ${wrong.map(([what]) => what).join('; ')}.`);
}
