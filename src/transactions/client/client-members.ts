import { inspect } from 'node:util';
import { Prisma } from '../../database/generated/client.ts';
import { MisuseError } from '../../kernel/loggable-error.ts';
import { isReadOperation, readOperations } from '../tables.ts';

// What there is on the client that a repository is given, and what is written instead of the rest of Prisma's.

const models: ReadonlySet<string> = new Set(
  Object.keys(Prisma.ModelName).map((name) => name.charAt(0).toLowerCase() + name.slice(1)),
);
const writeOperations = [
  ...['create', 'createMany', 'createManyAndReturn', 'update', 'updateMany', 'updateManyAndReturn'],
  ...['upsert', 'delete', 'deleteMany'],
];
const operations: ReadonlySet<string> = new Set([...readOperations, ...writeOperations]);

const ownBoundary =
  'Draw a boundary: @Transactional() on the method of the service, or transactions.run({}, async () => { … }). The injected client is its transaction.';
const opened = 'The clients are opened and closed by the service, in src/database/database-client.ts';
const neverPutTogether =
  'The text of a statement is never put together: write $queryRaw`…` or $executeRaw`…`, with values in ${…}, and parts of Prisma.sql.';

/** By member of Prisma's client: what to write here. */
const instead: Readonly<Record<string, string>> = {
  $transaction: ownBoundary,
  $extends: `${opened}, without extensions, which raw statements would not pass: write a method of the repository.`,
  $on: `${opened}: what it does is told in the log and on the channels holdfast:… of node:diagnostics_channel.`,
  $use: `${opened}, without middleware: write a method of the repository.`,
  $connect: `${opened}: a statement connects by itself.`,
  $disconnect: `${opened}: app.close() disconnects.`,
  $runCommandRaw: 'It is of MongoDB. Write $queryRaw`…`.',
};

/** Whether the client has this table. */
export const isModel = (name: string): boolean => models.has(name);

const isUnsafe = (name: string): boolean => name.startsWith('$') && name.endsWith('Unsafe');

/** A function that says what to write instead of this member of Prisma's client; undefined for what is no member of it. */
export function refusalOf(name: string): (() => never) | undefined {
  if (!/^\$\w/.test(name)) return undefined;
  const said = isUnsafe(name)
    ? neverPutTogether
    : (instead[name] ?? 'It is none of the members that Prisma documents.');
  return () => {
    throw new MisuseError(`db.${name} is not offered. ${said}`);
  };
}

export const isOperation = (name: string): boolean => operations.has(name);
const isWord = (name: string): boolean => /^[a-z][A-Za-z]+$/.test(name) && !probed.has(name);
// What a runtime or a test runner looks for on any object.
const probed: ReadonlySet<string> = new Set([
  'then',
  'constructor',
  'asymmetricMatch',
  'nodeType',
  'tagName',
  'toString',
  'valueOf',
]);

/** Refuses an operation that Prisma has not, by name; undefined for what nobody would call. */
export const unknownOperation = (model: string, name: string): (() => Promise<never>) | undefined =>
  isWord(name) && name !== 'toJSON'
    ? async () => {
        throw new MisuseError(
          `There is no operation ${model}.${name}. There are ${[...operations].join(', ')}; all else is a method of the repository.`,
        );
      }
    : undefined;

/** What console.log shows of it, instead of the nothing that a Proxy stands on. */
export const shownAs = (text: string): object => ({ [inspect.custom]: () => text });
export const clientText = `Holdfast client { ${[...models].join(', ')}, $queryRaw, $queryRawTyped, $executeRaw }`;
export const readingClientText = `Holdfast client that reads { ${[...models].join(', ')} }`;
export const delegateText = (model: string): string => `${model} { ${[...operations].join(', ')} }`;
export const readingDelegateText = (model: string): string =>
  `${model} { ${[...operations].filter(isReadOperation).join(', ')} }`;
