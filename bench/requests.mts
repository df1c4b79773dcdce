// The requests of each case, as the service and as its peers want them.
import { randomUUID } from 'node:crypto';
import type { CaseName, ServiceName } from './cases.mts';

/** What was filled in before. The peers number their rows. */
export interface World {
  readonly token: string;
  readonly accounts: readonly string[];
  readonly skus: readonly string[];
}

export interface LoadRequest {
  readonly method: 'GET' | 'POST';
  readonly path: string;
  readonly headers: Record<string, string>;
  readonly body?: string;
}

const [accountCount, skuCount, linesEach] = [10_000, 1000, 4];
const below = (n: number): number => Math.floor(Math.random() * n);
const quantity = (): number => 1 + below(3);
const amount = (): number => 1 + below(100);

/** Two different numbers; the first one is 0 if it is hot. */
function pair(count: number, isHot: boolean): [number, number] {
  const from = isHot ? 0 : below(count);
  return [from, (from + 1 + below(count - 1)) % count];
}

function lines(count: number, isHot: boolean): number[] {
  const chosen = new Set<number>(isHot ? [0] : []);
  while (chosen.size < linesEach) chosen.add(below(count));
  return [...chosen];
}

/** Makes the requests of a case, one after the other; each write has a key of its own. */
export function requestsOf(service: ServiceName, name: CaseName, world: World): () => LoadRequest {
  const isPeer = service.startsWith('fastify-pg') || service === 'nest-cls-prisma';
  const [path, bodyOf] = isPeer ? peerWrites(name) : writes(name, world);
  const prefix = randomUUID();
  let sequence = 0;
  const caller: Record<string, string> = isPeer
    ? { 'x-principal': 'bench' }
    : { authorization: `Bearer ${world.token}` };
  if (bodyOf === null) {
    const one = { method: 'GET', headers: caller } as const;
    if (name !== 'account') return () => ({ ...one, path });
    return () => ({ ...one, path: `${path}/${world.accounts[below(world.accounts.length)]}` });
  }
  return () => ({
    method: 'POST',
    path,
    headers: { ...caller, 'content-type': 'application/json', 'idempotency-key': `${prefix}-${++sequence}` },
    body: JSON.stringify(bodyOf()),
  });
}

type Route = readonly [path: string, bodyOf: (() => object) | null];

function writes(name: CaseName, { accounts, skus }: World): Route {
  const eur = () => ({ amount: amount(), currency: 'EUR' });
  const transfer = () => {
    const [from, to] = pair(accounts.length, name === 'transfers-hot');
    return { fromAccountId: accounts[from], toAccountId: accounts[to], amount: eur() };
  };
  switch (name) {
    case 'account':
      return ['/v1/accounts', null];
    case 'products':
      return ['/v1/products?limit=20', null];
    case 'livez':
      return ['/livez', null];
    case 'batch-500':
      return ['/v1/transfers/batch', () => ({ mode: 'atomic', transfers: Array.from({ length: 500 }, transfer) })];
    case 'orders-spread':
    case 'orders-hot':
      return [
        '/v1/orders',
        () => ({
          items: lines(skus.length, name === 'orders-hot').map((n) => ({ skuId: skus[n], quantity: quantity() })),
          payment: { accountId: accounts[below(accounts.length)] },
        }),
      ];
    default:
      return ['/v1/transfers', transfer];
  }
}

/** As schema.sql numbers the rows, from 1. */
const peerId = (n: number): string => `00000000-0000-4000-8000-${(n + 1).toString(16).padStart(12, '0')}`;

function peerWrites(name: CaseName): Route {
  if (name === 'orders-spread' || name === 'orders-hot')
    return [
      '/v1/orders',
      () => ({
        accountId: peerId(below(accountCount)),
        lines: lines(skuCount, name === 'orders-hot').map((n) => ({ skuId: peerId(n), quantity: quantity() })),
      }),
    ];
  return [
    '/v1/transfers',
    () => {
      const [from, to] = pair(accountCount, name === 'transfers-hot');
      return { from: peerId(from), to: peerId(to), amount: amount() };
    },
  ];
}
