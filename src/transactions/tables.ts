import { Inject } from '@nestjs/common';
import type { Prisma, PrismaClient } from '../database/generated/client.ts';

/** The name of a table's delegate on the client: `order`, `orderLine`, … */
export type Table = Uncapitalize<Prisma.ModelName>;

/** The client narrowed to the tables that a repository owns: those of `prisma/<module>.prisma`, which `test/ownership.test.ts` checks. Others do not compile. */
export type Tables<Owned extends Table> = Pick<PrismaClient, Owned>;

export const readOperations = [
  'findUnique',
  'findUniqueOrThrow',
  'findFirst',
  'findFirstOrThrow',
  'findMany',
  'count',
  'aggregate',
  'groupBy',
] as const;

/** What Prisma can read with. */
export type ReadOperation = (typeof readOperations)[number];

const isOneOf: ReadonlySet<string> = new Set(readOperations);
export const isReadOperation = (operation: string): operation is ReadOperation => isOneOf.has(operation);

/** The tables that a repository only reads: no method of this client writes. */
export type Reads<Owned extends Table> = {
  readonly [T in Owned]: Pick<PrismaClient[T], ReadOperation & keyof PrismaClient[T]>;
};

/** Added to {@link Tables} where a repository needs a statement that Prisma cannot express; each use gives its reason. */
export type Sql = Pick<PrismaClient, '$queryRaw' | '$executeRaw'>;

/** The same for {@link Reads}; works in a read-only boundary, where the server refuses writes. */
export type ReadSql = Pick<PrismaClient, '$queryRaw'>;

export const DATABASE = Symbol('database');
export const READS = Symbol('reads');

/**
 * Injects the client of a repository. Inside a boundary it IS the transaction; outside, reads go to the read client and everything else to the write client.
 */
export const InjectDatabase = (): ParameterDecorator => Inject(DATABASE);

/**
 * Injects the client of a repository that only reads, as `Reads<'order'>`. It refuses writes, even if its type was cast.
 * A class whose repositories all use it may hold read-only boundaries.
 */
export const InjectReads = (): ParameterDecorator => Inject(READS);
