import { Inject } from '@nestjs/common';
import type { Prisma, PrismaClient } from './generated/client.ts';

/** The name of a table's delegate on the client: `order`, `orderLine`, … */
export type Table = Uncapitalize<Prisma.ModelName>;

/** The client narrowed to the tables that a repository owns. Another module's table does not compile. */
export type Tables<Owned extends Table> = Pick<PrismaClient, Owned>;

/** Added to {@link Tables} where a repository needs a statement that Prisma cannot say; each use gives its reason. */
export type Sql = Pick<PrismaClient, '$queryRaw' | '$executeRaw'>;

export const DATABASE = Symbol('database');

/**
 * What a repository is given. Inside a boundary it IS the transaction; outside, reads go to the read client and all else to the write client.
 */
export const InjectDatabase = (): ParameterDecorator => Inject(DATABASE);
