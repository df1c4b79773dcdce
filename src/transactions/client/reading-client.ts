import type { PrismaClient } from '../../database/generated/client.ts';
import { MisuseError } from '../../kernel/loggable-error.ts';
import { runningBoundary } from '../current.ts';
import { isReadOperation, type ReadOperation, type Reads, type ReadSql, type Table } from '../tables.ts';
import {
  isModel,
  isOperation,
  readingClientText,
  readingDelegateText,
  refusalOf,
  shownAs,
  unknownOperation,
} from './client-members.ts';

/**
 * The client without what writes: the types leave that out, and a caller that got round them meets a TypeError before any statement.
 * `$queryRaw` works in a boundary that only reads; elsewhere one that writes would be stored.
 */
export function readingClient(client: PrismaClient): Reads<Table> & ReadSql {
  const models = new Map<string, object>();
  return new Proxy(shownAs(readingClientText) as Reads<Table> & ReadSql, {
    get: (_, name) => {
      if (typeof name !== 'string') return undefined;
      if (name === '$queryRaw') return rawRead(client);
      if (!isModel(name)) return refusalOf(name) ?? rawRefusal(name);
      const known = models.get(name) ?? readingDelegate(name, client[name as 'user'] as unknown as Operations);
      models.set(name, known);
      return known;
    },
  });
}

type Operations = Record<ReadOperation, () => unknown>;

const readingDelegate = (model: string, delegate: Operations): object =>
  new Proxy(shownAs(readingDelegateText(model)), {
    get: (_, operation) => {
      if (typeof operation !== 'string') return undefined;
      if (operation === 'fields' || isReadOperation(operation)) return delegate[operation as ReadOperation];
      if (!isOperation(operation)) return unknownOperation(model, operation);
      return async () => {
        throw new MisuseError(`${model}.${operation} writes, and this repository only reads: it uses @InjectReads().`);
      };
    },
  });

const rawRead =
  (client: ReadSql): ReadSql['$queryRaw'] =>
  (...statement) => {
    if (runningBoundary()?.readOnly !== true)
      throw new MisuseError(
        'db.$queryRaw is not there with @InjectReads() but in a boundary that only reads: a raw statement may write. Draw @Transactional({ readOnly: true }), or use @InjectDatabase() with Sql.',
      );
    return client.$queryRaw(...statement);
  };

// A raw statement says nothing by its type of what it does.
const rawRefusal = (name: string): (() => never) | undefined =>
  /^\$(queryRawTyped|executeRaw)$/.test(name)
    ? () => {
        throw new MisuseError(
          `db.${name} is not there with @InjectReads(): a raw statement may write. Use @InjectDatabase() with Sql.`,
        );
      }
    : undefined;
