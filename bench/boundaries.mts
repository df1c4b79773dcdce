// npm run bench:boundaries: what a transaction boundary costs in Node, beside three others that do the same: the stock stack of
// nestjs-cls and its Prisma adapter, Prisma's own $transaction, and pg by hand (also with named statements).
// Works on the table product: one statement (INSERT of a row, which is read back), and four (two reads by id, UPDATE by id, INSERT); by calls
// of the model, and by $queryRaw.
// Each peer has a process of its own, 10 connections and 8 callers that wait for nothing else; they take turns, round by round, on a
// durable cluster of the bench's own, whose replica Holdfast knows of, as when it ships. In the end the rows are counted.
// CPU is user and system time of the whole process, its compiler and collector included, per boundary; not the server's, which is why the
// rate says little on a machine of few cores. Round trips are counted by a proxy that holds everything back: how often the client speaks
// after the server has spoken. A figure is the median of the rounds, a ratio the median of the ratios within each round.
import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, mkdtempSync, rmSync } from 'node:fs';
import { type AddressInfo, connect, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { query } from './query.mts';
import { median } from './figures.mts';
import type { BoundariesMeasured } from './results.mts';
import { startCluster } from '../src/embedded/cluster.ts';
import { runPrisma } from '../src/embedded/prisma-cli.ts';
import {
  type Answer,
  type Measured,
  type Order,
  type PeerName,
  peerNames,
  type WorkName,
  workNames,
} from './boundaries-peer.mts';

const rounds = 5;
const secondsEach = 1;
const warmUpSeconds = 2;
const callers = 8;
const seedsEach = 512;
const counted = 10;
const works: Record<WorkName, string> = {
  one: 'one statement',
  four: 'four statements',
  raw: 'one raw',
  fourRaw: 'four raw',
};

interface Peer {
  readonly name: PeerName;
  readonly process: ChildProcess;
}

const home = mkdtempSync(join(tmpdir(), 'holdfast-bench-'));
chmodSync(home, 0o755); // as root, PostgreSQL's own user must be able to enter it
const cluster = await startCluster({ home, durable: true });
const none: Readonly<Record<WorkName, number>> = { one: 0, four: 0, raw: 0, fourRaw: 0 };
const done: Record<string, Record<WorkName, number>> = {};
/** Of each work: our processor as a share of that of nestjs-cls. */
const shares: Record<WorkName, number> = { one: NaN, four: NaN, raw: NaN, fourRaw: NaN };
try {
  await runPrisma(['migrate', 'deploy'], { databaseUrl: cluster.url('owner'), quiet: true });
  const seeds = await fill();
  const trips = await countTrips(seeds);
  const peers = await Promise.all(peerNames.map((name) => start(name, cluster.url('app'), seeds)));
  for (const work of workNames) shares[work] = show(work, trips, await measure(peers, work));
  await Promise.all(peers.map(stop));
  await verify();
  // To npm run bench.
  process.send?.({ raw: shares.raw, one: shares.one } satisfies BoundariesMeasured);
} finally {
  await cluster.stop();
  rmSync(home, { recursive: true, force: true });
}

/** The rounds, each with what every peer did in it. */
async function measure(peers: readonly Peer[], work: WorkName): Promise<Map<PeerName, Measured>[]> {
  const measured: Map<PeerName, Measured>[] = [];
  for (const peer of peers) await ask(peer, { work, callers, seconds: warmUpSeconds });
  for (let round = 0; round < rounds; round++) {
    const figures = new Map<PeerName, Measured>();
    // Another one begins each time.
    const inTurn = [...peers.slice(round % peers.length), ...peers.slice(0, round % peers.length)];
    for (const peer of inTurn) figures.set(peer.name, await ask(peer, { work, callers, seconds: secondsEach }));
    measured.push(figures);
  }
  return measured;
}

function show(work: WorkName, trips: Record<string, number>, measured: readonly Map<PeerName, Measured>[]): number {
  const of = (name: PeerName, figure: keyof Measured): number =>
    median(measured.map((round) => round.get(name)?.[figure] ?? NaN));
  const ratio = (name: PeerName, figure: keyof Measured): number =>
    median(measured.map((round) => (round.get('holdfast')?.[figure] ?? NaN) / (round.get(name)?.[figure] ?? NaN)));
  const line = (...cells: string[]): string =>
    `${cells.map((cell, n) => (n === 0 ? cell.padEnd(18) : cell.padStart(16))).join('')}\n`;
  process.stdout.write(
    `\n${line(works[work], 'CPU µs', 'per second', 'round trips', 'our CPU / its', 'our rate / its')}`,
  );
  for (const name of peerNames) {
    const against = [ratio(name, 'cpuMicros').toFixed(2), ratio(name, 'perSecond').toFixed(2)];
    const tripsOf = (trips[`${name} ${work}`] ?? NaN).toFixed(1);
    process.stdout.write(
      line(name, of(name, 'cpuMicros').toFixed(0), of(name, 'perSecond').toFixed(0), tripsOf, ...against),
    );
  }
  return ratio('nestjs-cls', 'cpuMicros');
}

/** By peer and work. Through a proxy, with one caller, when the statements are known to the connection. */
async function countTrips(seeds: Record<string, string[]>): Promise<Record<string, number>> {
  const proxy = await startCountingProxy(cluster.url('app'));
  const trips: Record<string, number> = {};
  for (const name of peerNames) {
    const peer = await start(name, proxy.url, seeds);
    for (const work of workNames) {
      await ask(peer, { work, callers: 1, times: 3 });
      const before = proxy.turns();
      await ask(peer, { work, callers: 1, times: counted });
      trips[`${name} ${work}`] = (proxy.turns() - before) / counted;
    }
    await stop(peer);
  }
  proxy.close();
  return trips;
}

/** Holds back everything for a while, and counts how often the client speaks after the server has spoken. */
async function startCountingProxy(target: string) {
  const { hostname, port } = new URL(target);
  let turns = 0;
  const server = createServer((client) => {
    let isServersTurn = false;
    const upstream = connect({ host: hostname, port: Number(port) });
    client.on('data', (chunk) => {
      if (!isServersTurn) turns++;
      isServersTurn = true;
      setTimeout(() => upstream.write(chunk), 5);
    });
    upstream.on('data', (chunk) => {
      isServersTurn = false;
      setTimeout(() => client.write(chunk), 5);
    });
    client.on('error', () => undefined).on('close', () => upstream.destroy());
    upstream.on('error', () => undefined).on('close', () => client.destroy());
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const url = Object.assign(new URL(target), { port: String((server.address() as AddressInfo).port) }).href;
  return { url, turns: () => turns, close: () => void server.close() };
}

/** Rows for each peer to read and update. Their ids. */
async function fill(): Promise<Record<string, string[]>> {
  const seeds: Record<string, string[]> = {};
  for (const name of peerNames) {
    const made = await query<{ id: string }>(
      cluster.url('owner'),
      `INSERT INTO product (id, slug, name) SELECT gen_random_uuid(), $1 || ' seed ' || n, 'Seed' FROM generate_series(1, $2) AS n RETURNING id`,
      [name, seedsEach],
    );
    seeds[name] = made.map(({ id }) => id);
  }
  return seeds;
}

/** Throws unless each peer has stored what its boundaries wrote. */
async function verify(): Promise<void> {
  for (const name of peerNames) {
    const { one, four, raw, fourRaw } = done[name] ?? none;
    const [inserted, updates] = [one + four + raw + fourRaw, four + fourRaw];
    const [stored] = await query<{ inserted: number; updates: number }>(
      cluster.url('owner'),
      `SELECT (count(*) FILTER (WHERE slug LIKE $1 || ' made %'))::int AS inserted, sum(version - 1)::int AS updates
         FROM product WHERE slug LIKE $1 || ' made %' OR slug LIKE $1 || ' seed %'`,
      [name],
    );
    if (stored?.inserted !== inserted || stored.updates !== updates)
      throw new Error(`${name} says it made ${inserted} and ${updates}, but stored ${JSON.stringify(stored)}`);
  }
}

async function start(name: PeerName, url: string, seeds: Record<string, string[]>): Promise<Peer> {
  const child = fork(join(import.meta.dirname, 'boundaries-peer.mts'), [name, url, cluster.url('reader')], {
    execArgv: ['--disable-warning=MODULE_TYPELESS_PACKAGE_JSON'],
  });
  const peer = { name, process: child };
  await ask(peer, { seeds: seeds[name] ?? [] });
  return peer;
}

async function ask(peer: Peer, order: Order): Promise<Measured> {
  const over = new AbortController();
  const ended = once(peer.process, 'exit', { signal: over.signal }).then(() => {
    throw new Error(`${peer.name} ended`);
  });
  peer.process.send(order);
  const answered = once(peer.process, 'message') as Promise<[Answer]>;
  const [{ boundaries, ...measured }] = await Promise.race([answered, ended]);
  over.abort();
  ended.catch(() => undefined);
  if (order.work !== undefined) (done[peer.name] ??= { ...none })[order.work] += boundaries;
  return measured;
}

async function stop(peer: Peer): Promise<void> {
  const ended = once(peer.process, 'exit');
  peer.process.disconnect();
  await Promise.race([ended, sleep(5000, undefined, { ref: false })]);
}
