import type { PrismaClient } from '../database/generated/client.ts';
import { isReadOperation, type ReadOperation, type Reads, type Table } from '../database/tables.ts';
import { MisuseError } from '../kernel/loggable-error.ts';

/**
 * The client without what writes: the types leave that out, and a caller that got round them meets a TypeError before any statement.
 * Raw statements are not there either: outside a boundary one that writes would be stored.
 */
export function readingClient(client: PrismaClient): Reads<Table> {
  const models = new Map<string, object>();
  return new Proxy({} as Reads<Table>, {
    get: (_, name) => {
      if (typeof name !== 'string' || name === 'then' || name.startsWith('$')) return undefined;
      const known = models.get(name) ?? readingDelegate(name, client[name as 'user'] as unknown as Operations);
      models.set(name, known);
      return known;
    },
  });
}

type Operations = Record<ReadOperation, () => unknown>;

const readingDelegate = (model: string, delegate: Operations): object =>
  new Proxy(
    {},
    {
      get: (_, operation) => {
        if (typeof operation !== 'string') return undefined;
        if (isReadOperation(operation)) return delegate[operation];
        return async () => {
          throw new MisuseError(
            `${model}.${operation} writes, and this repository only reads: it uses @InjectReads().`,
          );
        };
      },
    },
  );
