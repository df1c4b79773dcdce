// What is measured, and of whom.

/** The services that answer requests, each in a process of its own. */
export const serviceNames = [
  'holdfast',
  'holdfast-without-lanes',
  'fastify-pg-one',
  'fastify-pg-interactive',
  'nest-cls-prisma',
  'reads-by-hand',
  'yardstick',
] as const;
export type ServiceName = (typeof serviceNames)[number];

/** Those with a database and books of their own. */
export const peerNames = ['fastify-pg-one', 'fastify-pg-interactive', 'nest-cls-prisma'] as const;
export type PeerName = (typeof peerNames)[number];
export const handWritten: readonly PeerName[] = ['fastify-pg-one', 'fastify-pg-interactive'];

export const titles: Record<ServiceName, string> = {
  holdfast: 'Holdfast',
  'holdfast-without-lanes': 'Holdfast without lanes',
  'fastify-pg-one': 'Fastify and pg, one statement',
  'fastify-pg-interactive': 'Fastify and pg, interactive',
  'nest-cls-prisma': 'Nest, nestjs-cls, Prisma',
  'reads-by-hand': 'Fastify and pg, by hand',
  yardstick: 'Nest and Fastify, no database',
};

export interface Case {
  readonly title: string;
  readonly services: readonly ServiceName[];
  readonly connections: number;
  /** What one request does: a rate counts these. */
  readonly unit: 'transfer' | 'order' | 'request';
  readonly unitsPerRequest: number;
}

const one = { connections: 64, unitsPerRequest: 1 } as const;
const transfers = { ...one, unit: 'transfer' } as const;
const orders = { ...one, unit: 'order', services: ['holdfast', ...peerNames] } as const;
const reads = { ...one, unit: 'request' } as const;
const byCallers = { ...transfers, services: ['holdfast', 'holdfast-without-lanes', 'fastify-pg-one'] } as const;

export const cases = {
  'transfers-spread': {
    ...transfers,
    title: 'Transfers between 10,000 accounts',
    services: ['holdfast', 'holdfast-without-lanes', ...peerNames, 'yardstick'],
  },
  'transfers-hot': { ...transfers, title: 'Transfers from one account', services: ['holdfast', ...peerNames] },
  // Four callers: more have more rows in one moment than a server of this size holds.
  'batch-500': {
    ...transfers,
    title: 'Batches of 500 transfers',
    services: ['holdfast'],
    connections: 4,
    unitsPerRequest: 500,
  },
  'orders-spread': { ...orders, title: 'Orders of 4 lines out of 1,000 SKUs' },
  'orders-hot': { ...orders, title: 'Orders of 4 lines, one SKU in all of them' },
  account: { ...reads, title: 'An account by its id', services: ['holdfast', 'reads-by-hand'] },
  products: { ...reads, title: 'A page of 20 products', services: ['holdfast', 'reads-by-hand'] },
  livez: { ...reads, title: '/livez', services: ['holdfast', 'yardstick'] },
  'transfers-1': { ...byCallers, title: 'Transfers, 1 connection', connections: 1 },
  'transfers-16': { ...byCallers, title: 'Transfers, 16 connections', connections: 16 },
  'transfers-256': { ...byCallers, title: 'Transfers, 256 connections', connections: 256 },
} as const satisfies Record<string, Case>;

export type CaseName = keyof typeof cases;
export const caseNames = Object.keys(cases) as CaseName[];

/** Sizes of the batches that are written by hand. */
export const limitSizes = [64, 500] as const;
