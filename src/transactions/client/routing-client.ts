import { Prisma, type PrismaClient } from '../../database/generated/client.ts';
import { MisuseError } from '../../kernel/loggable-error.ts';
import { CallSite } from '../boundary/call-site.ts';
import type { RunningBoundary } from '../boundary/running-boundary.ts';
import { isReadOperation } from '../tables.ts';
import { TransactionControlError } from '../wire/errors.ts';
import { areSimple } from '../wire/raw-statements.ts';
import { rawStatementsOf } from '../wire/slots.ts';
import { controlsTransaction, writesRows } from '../wire/statements.ts';
import {
  clientText,
  delegateText,
  isModel,
  isOperation,
  refusalOf,
  shownAs,
  unknownOperation,
} from './client-members.ts';

/** A call of the client: `order.create` with its arguments, or `$queryRaw`. */
export interface Call {
  /** What it is called in errors: `order.create`. */
  readonly name: string;
  /** A raw statement may do either. */
  readonly kind: 'read' | 'write' | 'raw';
  /** Whether it says that it writes, where nobody but us would refuse that. */
  readonly saysThatItWrites: boolean;
  readonly site: CallSite;
  on(client: Prisma.TransactionClient): Promise<unknown>;
}

/** Whether it says that it writes. A function that a raw statement calls may write all the same. */
export const changesRows = ({ kind, saysThatItWrites }: Call): boolean => kind === 'write' || saysThatItWrites;

interface Route {
  running(): RunningBoundary | null;
  transaction(): Prisma.TransactionClient;
  /** The columns of a table, to compare one with another in a `where`. */
  fields(model: string): unknown;
  /** Outside any boundary; `again` sends the call once more, to whatever boundary is running then. */
  plain(call: Call, again: () => Promise<unknown>): Promise<unknown>;
}

type Operation = (...args: unknown[]) => Promise<unknown>;
type Members = Record<string, unknown>;

const rawOperations = new Set(['$queryRaw', '$executeRaw', '$queryRawTyped']);

/**
 * The client that is the transaction: each call goes to the running boundary, or outside any to where `plain` sends it. A call begins at once,
 * also when nobody waits for it, so that a boundary knows what is under way when it ends.
 */
export function routingClient(route: Route): PrismaClient {
  const send = (call: Call): Promise<unknown> => {
    const running = route.running();
    if (running === null) return route.plain(call, () => send(call));
    // Where the transaction itself is READ ONLY, the database says it of a raw statement; where it is only joined, nobody else would.
    const writes = call.kind === 'write' || (call.saysThatItWrites && running.onlyReadsByJoining);
    if (changesRows(call)) running.transaction.separate?.begin(`${running.name} (${call.name})`, call.site);
    const statement = { what: call.name, writes, site: call.site };
    return running.statement(statement, () => call.on(route.transaction()));
  };
  const models = new Map<string, object>();
  const raw =
    (name: string) =>
    (...args: unknown[]) =>
      sendRaw(send, name, args);
  return new Proxy(shownAs(clientText) as PrismaClient, {
    get: (_, name) => {
      if (typeof name !== 'string') return undefined;
      if (rawOperations.has(name)) return raw(name);
      if (!isModel(name)) return refusalOf(name);
      const known = models.get(name) ?? delegate(name, send, route.fields(name));
      models.set(name, known);
      return known;
    },
  });
}

function delegate(model: string, send: (call: Call) => Promise<unknown>, fields: unknown): object {
  const operations = new Map<string, Operation>();
  const make = (operation: string): Operation => {
    const name = `${model}.${operation}`;
    const kind = isReadOperation(operation) ? 'read' : 'write';
    const saysThatItWrites = kind === 'write';
    const on = (client: Prisma.TransactionClient, args: unknown): Promise<unknown> =>
      callOn(client[model as 'user'] as unknown as Members, operation, [args]);
    const called: Operation = async (args) => {
      const site = new CallSite(called);
      return send({ name, kind, saysThatItWrites, site, on: (client) => on(client, args) });
    };
    return called;
  };
  return new Proxy(shownAs(delegateText(model)), {
    get: (_, operation) => {
      if (typeof operation !== 'string') return undefined;
      if (operation === 'fields') return fields;
      if (!isOperation(operation)) return unknownOperation(model, operation);
      const known = operations.get(operation) ?? make(operation);
      operations.set(operation, known);
      return known;
    },
  });
}

async function sendRaw(send: (call: Call) => Promise<unknown>, name: string, args: unknown[]): Promise<unknown> {
  const site = new CallSite(sendRaw);
  const sql = sqlOf(args);
  const { text, values } = saidIn(sql, args);
  if (controlsTransaction(text, values)) throw new TransactionControlError();
  const saysThatItWrites = name === '$executeRaw' || writesRows(text);
  const isSimple = sql !== null && name !== '$queryRawTyped' && areSimple(sql.values);
  const on = (client: Prisma.TransactionClient): Promise<unknown> => {
    const raw = isSimple ? rawStatementsOf(client) : null;
    if (raw === null) return callOn(client, name, args);
    return name === '$queryRaw' ? raw.query(sql as Prisma.Sql) : raw.execute(sql as Prisma.Sql);
  };
  return send({ name, kind: 'raw', saysThatItWrites, site, on });
}

function saidIn(sql: Prisma.Sql | null, [first]: unknown[]): { text: string; values: readonly unknown[] } {
  const typed = (first ?? {}) as { sql?: string; values?: readonly unknown[] };
  return sql === null
    ? { text: typed.sql ?? String(first), values: typed.values ?? [] }
    : { text: sql.sql, values: sql.values };
}

// With whatever Prisma.raw and Prisma.sql put into the template.
function sqlOf([first, ...values]: unknown[]): Prisma.Sql | null {
  if (Array.isArray(first)) return Prisma.sql(first as string[], ...values);
  return first instanceof Prisma.Sql ? first : null;
}

function callOn(target: Members, operation: string, args: unknown[]): Promise<unknown> {
  const method = target[operation];
  if (typeof method !== 'function') throw new MisuseError(`There is no operation ${operation}.`);
  return method.apply(target, args) as Promise<unknown>;
}
