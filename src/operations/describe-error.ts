import { inspect } from 'node:util';
import { isLoggable } from '../kernel/loggable-error.ts';
import { ProblemError } from '../kernel/problem.ts';
import { framesOf } from '../transactions/boundary/call-site.ts';
import { originOf } from '../transactions/boundary/error-origins.ts';
import { databaseFailure, databaseWords } from '../transactions/wire/postgres-errors.ts';

/**
 * Which messages are told: `own` those that hold nothing of a row (LoggableError), `all` also those of PostgreSQL, Prisma and Node, which
 * may quote values.
 */
export type ToldMessages = 'own' | 'all';

/** What is told of an error, in the log and at a terminal. */
export interface ErrorDescription {
  readonly type: string;
  readonly message?: string;
  /** Of Prisma, Node or a refusal. */
  readonly code?: string;
  readonly sqlState?: string;
  readonly constraint?: string;
  /** What PostgreSQL itself has said. */
  readonly database?: string;
  readonly boundary?: string;
  readonly attempt?: number;
  readonly call?: string;
  /** Where in the service it arose: the frames without those of Node, of packages and of the core. */
  readonly calledAt?: string;
  readonly stack?: string;
  readonly cause?: ErrorDescription;
  /** Those of an AggregateError. */
  readonly errors?: readonly ErrorDescription[];
}

// Bounds for what a line may hold.
const mostCharacters = 4000;
const mostFrames = 12;
const mostFramesOfCall = 5;
const deepest = 6;
const mostErrors = 5;

/** Describes whatever was thrown. Never throws itself. */
export function describeError(thrown: unknown, messages: ToldMessages): ErrorDescription {
  try {
    return describe(thrown, messages, []);
  } catch (error) {
    return {
      type: 'UndescribableError',
      message: `a ${typeof thrown} was thrown that cannot be read`,
      ...stackOf(error),
    };
  }
}

function describe(thrown: unknown, messages: ToldMessages, outer: readonly unknown[]): ErrorDescription {
  if (!isError(thrown)) return describeValue(thrown, messages);
  const { constraint, sqlState } = databaseFailure(thrown) ?? {};
  const { calledAt, ...origin } = originOf(thrown);
  return {
    type: nameOf(thrown),
    ...messageOf(thrown, messages),
    ...codeOf(thrown),
    ...(sqlState !== undefined && { sqlState }),
    ...(constraint && { constraint }),
    ...wordsOf(thrown, messages),
    ...origin,
    ...firstOf('calledAt', calledAt ?? framesOf(thrown), mostFramesOfCall),
    ...stackOf(thrown),
    ...chainOf(thrown, messages, [...outer, thrown]),
  };
}

// Also one of another realm, as Jest's are.
const isError = (thrown: unknown): thrown is Error =>
  thrown instanceof Error || Object.prototype.toString.call(thrown) === '[object Error]';

// Not an Error: nothing but its kind is known to be harmless.
function describeValue(thrown: unknown, messages: ToldMessages): ErrorDescription {
  const kind = typeof thrown === 'object' && thrown !== null ? (thrown.constructor?.name ?? 'Object') : typeof thrown;
  const told = messages === 'all' ? `: ${inspect(thrown, { depth: 2, breakLength: Infinity })}` : '';
  return {
    type: 'NotAnError',
    message: cut(`what was thrown is no Error but ${thrown === null ? 'null' : `of type ${kind}`}${told}`),
  };
}

const nameOf = (error: Error): string => (error.name === 'Error' ? error.constructor.name : error.name) || 'Error';

function messageOf(error: Error, messages: ToldMessages): { message?: string } {
  const message = messages === 'all' || isLoggable(error) ? cut(error.message.trim()) : '';
  return message === '' ? {} : { message };
}

function codeOf(error: Error): { code?: string } {
  const { code } = error as { code?: unknown };
  return typeof code === 'string' || typeof code === 'number' ? { code: cut(String(code)) } : {};
}

function wordsOf(error: Error, messages: ToldMessages): { database?: string } {
  const words = messages === 'all' ? databaseWords(error) : null;
  return words === null || words === error.message ? {} : { database: cut(words) };
}

const stackOf = (error: unknown): { stack?: string } => {
  const frames = ((error as Error).stack ?? '').split('\n').filter((line) => /^\s+at /.test(line));
  return firstOf('stack', frames.join('\n'), mostFrames);
};

function firstOf<Name extends string>(name: Name, frames: string, most: number): Partial<Record<Name, string>> {
  const first = frames.split('\n').slice(0, most).join('\n');
  return (first === '' ? {} : { [name]: first }) as Partial<Record<Name, string>>;
}

function chainOf(error: Error, messages: ToldMessages, above: readonly unknown[]): Partial<ErrorDescription> {
  if (above.length >= deepest) return {};
  const { cause, errors } = error as { cause?: unknown; errors?: unknown };
  const several = Array.isArray(errors) ? errors.filter((one) => !above.includes(one)).slice(0, mostErrors) : [];
  return {
    ...(cause !== undefined && cause !== null && !above.includes(cause) && { cause: describe(cause, messages, above) }),
    ...(several.length > 0 && { errors: several.map((one) => describe(one, messages, above)) }),
  };
}

const cut = (text: string): string => (text.length <= mostCharacters ? text : `${text.slice(0, mostCharacters)}…`);

/** What a command or a start that failed says: one sentence where we have one for it, else all that is known. */
export function sayFailure(thrown: unknown): string {
  const isSentence = isLoggable(thrown) || thrown instanceof ProblemError;
  const isWhole = isSentence && Object.keys(originOf(thrown)).length === 0;
  return isWhole ? thrown.message : explainError(thrown);
}

/** The same for a person at a terminal: a line of what, a line of where, and the causes below. */
export const explainError = (thrown: unknown, messages: ToldMessages = 'all'): string =>
  linesOf(describeError(thrown, messages)).join('\n');

function linesOf({
  type,
  message,
  database,
  calledAt,
  stack,
  cause,
  errors = [],
  ...rest
}: ErrorDescription): string[] {
  const facts = Object.entries(rest).map(([name, value]) => `${words[name] ?? name} ${String(value)}`);
  return [
    message === undefined ? type : `${type}: ${message}`,
    ...(database === undefined ? [] : [`  PostgreSQL: ${database}`]),
    ...(facts.length === 0 ? [] : [`  ${facts.join(' · ')}`]),
    ...(calledAt ?? stack ?? '').split('\n').filter((line) => line !== ''),
    ...[cause, ...errors].flatMap((one) => (one === undefined ? [] : ['caused by', ...linesOf(one)].map(indented))),
  ];
}

const words: Readonly<Record<string, string>> = { sqlState: 'SQLSTATE' };
const indented = (line: string): string => `  ${line}`;
