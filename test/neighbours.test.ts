/** @servers any */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Response } from 'supertest';
import { Sweeper } from '../src/retention/sweeper.ts';
import { startApp, type TestApp } from './support/app.ts';
import { findMistakes } from './support/books.ts';
import { fullCount } from './support/counts.ts';
import { crowd } from './support/crowd.ts';
import { makers, type Person } from './support/make.ts';
import { between, send } from './support/transfers.ts';

jest.setTimeout(240_000);

// How long each attack lasts, and whether the machine is quiet enough to compare times.
const attackMs = fullCount(1500, 10_000);
const isMeasured = fullCount(0, 1) === 1;

let service: TestApp;
let house: string;
let attackers: Person[];
let [neighbour, friend] = [] as unknown as [Person, Person];
beforeAll(async () => {
  // Sweeping as in production, and quotas off: what is bounded here is bounded whoever asks.
  service = await startApp({ RETENTION_SWEEP_INTERVAL_MS: '500', LEDGER_PENDING_PER_SENDER: '100000' });
  attackers = await crowd(service, 6, { balance: 100_000 });
  [neighbour, friend] = (await crowd(service, 2, { balance: 1_000_000 })) as [Person, Person];
  const make = makers(service);
  const skuId = await make.sku(10);
  const { body: order } = await neighbour.api.post('/v1/orders', make.orderOf(neighbour, [skuId])).expect(201);
  // Every buyer sees the account of the house, and may name it.
  house = (await neighbour.api.get(`/v1/transfers/${order.payment.transferId}`).expect(200)).body.toAccountId;
});
afterAll(async () => {
  expect(await findMistakes(service.database)).toEqual([]);
  await service.close();
});

/** One of many requests that somebody sends one after the other; `n` counts them. */
type Attack = (attacker: Person, n: number) => Promise<Response>;
const nameless = (): Attack => (_, n) => {
  const email = `flood-${process.pid}-${n}-${Math.random()}@example.com`;
  const body = { email, password: 'correct horse battery', profile: { displayName: 'Flood' }, currency: 'EUR' };
  return service.as().post('/v1/users', body).then();
};

const attacks: Record<string, { readonly width: number; readonly attack: () => Attack }> = {
  'sign-ups': { width: 32, attack: nameless },
  probes: {
    width: 64,
    attack: () => (_, n) =>
      service
        .as()
        .get(['/readyz', '/livez', '/startupz'][n % 3] ?? '')
        .then(),
  },
  'batches that name the account of the house': {
    width: 2,
    attack: () => (attacker) => {
      const dear = Array.from({ length: 999 }, () =>
        between(attacker, attacker, 500_000, { toAccountId: friend.accountId }),
      );
      const transfers = [...dear, { ...between(attacker, attacker, 1), toAccountId: house }];
      return attacker.api.post('/v1/transfers/batch', { mode: 'partial', transfers }).then();
    },
  },
  'reservations that expire, and payments that want their room': {
    width: 4,
    attack: () => (attacker, n) => {
      const pending = { type: 'pending', expiresInSeconds: 1, toAccountId: attackers[(n + 1) % 2]?.accountId };
      const transfers = Array.from({ length: 50 }, () => between(attacker, attacker, 1, pending));
      return n % 3 === 2
        ? send(attacker, friend, 1_000_000).then()
        : attacker.api.post('/v1/transfers/batch', { mode: 'partial', transfers }).then();
    },
  },
  'refreshes of one token': {
    width: 32,
    attack: () => (attacker) =>
      service.as().post('/v1/sessions/refresh', { refreshToken: attacker.refreshToken }).then(),
  },
};

/** What became of the requests of one who has nothing to do with it, and how long each took, milliseconds. */
interface Served {
  readonly statuses: Set<number>;
  readonly took: number[];
}

async function serveNeighbour(until: () => boolean): Promise<Served> {
  const [statuses, took] = [new Set<number>(), [] as number[]];
  for (let n = 0; !until() || n < 4; n++) {
    const begunAt = performance.now();
    const { status } = await (n % 2 === 0 ? neighbour.api.get('/v1/users/me') : send(neighbour, friend, 1));
    took.push(performance.now() - begunAt);
    statuses.add(status);
  }
  return { statuses, took };
}
const p99 = ({ took }: Served): number => took.sort((a, b) => a - b)[Math.floor(took.length * 0.99)] ?? NaN;
const after = (ms: number) => {
  const until = performance.now() + ms;
  return () => performance.now() >= until;
};

describe('somebody who has nothing to do with it is served', () => {
  let alone: Served;
  beforeAll(async () => {
    alone = await serveNeighbour(after(attackMs));
    expect([...alone.statuses].sort()).toEqual([200, 201]);
  });
  afterEach(() => service.app.get(Sweeper).sweep());

  it.each(Object.keys(attacks))('beside %s', async (name) => {
    const { width, attack } = attacks[name]!;
    const isOver = after(attackMs);
    const answers = new Map<number, number>();
    const one = attack();
    const loops = Array.from({ length: width }, async (_, k) => {
      for (let n = k; !isOver(); n += width) {
        const { status } = await one(attackers[k % attackers.length]!, n);
        answers.set(status, (answers.get(status) ?? 0) + 1);
      }
    });
    await sleep(100);
    const beside = await serveNeighbour(isOver);
    await Promise.all(loops);
    // It was an attack: it was answered, or refused.
    expect([...answers.values()].reduce((sum, many) => sum + many, 0)).toBeGreaterThanOrEqual(width);
    expect([...beside.statuses].sort()).toEqual([200, 201]);
    if (!isMeasured) return;
    process.stderr.write(
      `${name}: ${[...answers].join(' ')}; p99 ${p99(beside).toFixed(0)} ms, alone ${p99(alone).toFixed(0)} ms\n`,
    );
    expect(p99(beside)).toBeLessThanOrEqual(10 * p99(alone));
  });
});
