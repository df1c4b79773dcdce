import type { SqlQueryable, SqlResultSet } from '@prisma/driver-adapter-utils';
import { ColumnTypeEnum, DriverAdapterError } from '@prisma/driver-adapter-utils';
import { Prisma } from '../../database/generated/client.ts';

type Row = Record<string, unknown>;
type Read = (value: never) => unknown;

/**
 * The raw statements of one transaction, sent by Prisma's driver adapter without Prisma's query engine in front of it, which has nothing to
 * plan there and costs as much as all the rest of a short statement. Answers and errors are those of `$queryRaw` and `$executeRaw`.
 */
export class RawStatements {
  constructor(private readonly connection: SqlQueryable) {}

  async query({ text, values }: Prisma.Sql): Promise<Row[]> {
    return rowsOf(await this.send(() => this.connection.queryRaw(queryOf(text, values))));
  }

  async execute({ text, values }: Prisma.Sql): Promise<number> {
    return this.send(() => this.connection.executeRaw(queryOf(text, values)));
  }

  private async send<T>(send: () => Promise<T>): Promise<T> {
    try {
      return await send();
    } catch (error) {
      throw error instanceof DriverAdapterError ? asPrismaSaysIt(error) : error;
    }
  }
}

/** Whether the values can be sent as they are. All else is left to Prisma to make into what pg takes: JSON, and what is wrong. */
export const areSimple = (values: readonly unknown[]): boolean =>
  values.every((value) => isSimple(value) || isList(value));

const isList = (value: unknown): boolean => Array.isArray(value) && value.every(isSimple);

function isSimple(value: unknown): boolean {
  if (typeof value === 'number') return Number.isFinite(value);
  if (value instanceof Date) return Number.isFinite(value.getTime());
  return value === null || value instanceof Uint8Array || simpleTypes.has(typeof value);
}

const simpleTypes: ReadonlySet<string> = new Set(['string', 'bigint', 'boolean']);

const queryOf = (sql: string, values: readonly unknown[]) => ({
  sql,
  args: values as unknown[],
  argTypes: values.map((value) => (Array.isArray(value) ? list : one)),
});
// Not told apart any further, as Prisma does not either: the server knows what it wants.
const one = { scalarType: 'unknown', arity: 'scalar' } as const;
const list = { scalarType: 'unknown', arity: 'list' } as const;

function rowsOf({ columnNames, columnTypes, rows }: SqlResultSet): Row[] {
  const readers = columnTypes.map((type) => reads[type]);
  return rows.map((row) => {
    const shown: Row = {};
    for (const [index, name] of columnNames.entries()) shown[name] = read(readers[index], row[index]);
    return shown;
  });
}

const read = (reader: Read | undefined, value: unknown): unknown =>
  reader === undefined || value === null ? value : reader(value as never);

const each =
  (reader: Read) =>
  (values: readonly unknown[]): unknown[] =>
    values.map((value) => read(reader, value));

const bigint = (text: string): bigint => BigInt(text);
const decimal = (text: string): Prisma.Decimal => new Prisma.Decimal(text);
const moment = (text: string): Date => new Date(text);
const time = (text: string): Date => new Date(`1970-01-01T${text}Z`);
const bytes = (buffer: Buffer): Uint8Array => new Uint8Array(buffer);

// What the adapter has left as text, as Prisma makes it of that.
const reads: Readonly<Record<number, Read>> = {
  [ColumnTypeEnum.Int64]: bigint,
  [ColumnTypeEnum.Int64Array]: each(bigint),
  [ColumnTypeEnum.Numeric]: decimal,
  [ColumnTypeEnum.NumericArray]: each(decimal),
  [ColumnTypeEnum.DateTime]: moment,
  [ColumnTypeEnum.DateTimeArray]: each(moment),
  [ColumnTypeEnum.Date]: moment,
  [ColumnTypeEnum.DateArray]: each(moment),
  [ColumnTypeEnum.Time]: time,
  [ColumnTypeEnum.TimeArray]: each(time),
  [ColumnTypeEnum.Bytes]: bytes,
  [ColumnTypeEnum.BytesArray]: each(bytes),
  [ColumnTypeEnum.Json]: JSON.parse,
  [ColumnTypeEnum.JsonArray]: each(JSON.parse),
};

function asPrismaSaysIt(error: DriverAdapterError): Error {
  const { cause } = error;
  const { originalCode = 'N/A', originalMessage = error.message } = cause;
  const said =
    cause.kind === 'UnsupportedNativeDataType'
      ? `A column of type ${cause.type} is not read. Cast it, to text for one.`
      : originalMessage;
  const message = `Raw query failed. Code: \`${originalCode}\`. Message: \`${said}\``;
  return new Prisma.PrismaClientKnownRequestError(message, {
    code: 'P2010',
    clientVersion: Prisma.prismaVersion.client,
    meta: { driverAdapterError: error },
  });
}
