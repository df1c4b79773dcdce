import type { LoggerService } from '@nestjs/common';
import { explainError } from '../../src/operations/describe-error.ts';

/** Under this key of the global object a test file keeps what its services have told; `environment.cjs` shows it with a failed test. */
const TOLD = Symbol.for('holdfast errors of the services');
type Holder = Record<symbol, string[] | undefined>;

// Of a test that asks for errors in a loop the last ones are enough.
const mostKept = 20;

function keep(text: string): void {
  const told = ((globalThis as unknown as Holder)[TOLD] ??= []);
  told.push(text);
  if (told.length > mostKept) told.shift();
}

const warning = 40; // pino's level `warn`

/** Keeps a line of the log of a service in a process of its own, when it tells of something bad. */
export function keepLine(line: string): void {
  const told = asObject(line);
  if (told === null || Number(told['level']) >= warning) keep(line);
}

function asObject(line: string): Record<string, unknown> | null {
  try {
    return JSON.parse(line) as Record<string, unknown>;
  } catch {
    return null; // nothing of ours: the words of a package, or of Node
  }
}

type Words = readonly unknown[];

/** Logs as `logger` does, and keeps each warning and error of a service for the test that fails meanwhile. */
export function keepingErrors(logger?: LoggerService): LoggerService {
  const both =
    (level: 'error' | 'warn' | 'fatal') =>
    (...line: unknown[]): void => {
      keep(textOf(line));
      (logger?.[level] as ((...words: unknown[]) => void) | undefined)?.(...line);
    };
  const passed =
    (level: 'log' | 'debug' | 'verbose') =>
    (...line: unknown[]): void =>
      (logger?.[level] as ((...words: unknown[]) => void) | undefined)?.(...line);
  return {
    error: both('error'),
    warn: both('warn'),
    fatal: both('fatal'),
    log: passed('log'),
    debug: passed('debug'),
    verbose: passed('verbose'),
  };
}

/** `request failed` with its error in full, and whatever else the line names. */
function textOf([first, ...words]: Words): string {
  const { err, ...facts } = (typeof first === 'object' && first !== null ? first : {}) as { err?: unknown };
  const error = first instanceof Error ? first : err;
  const said = typeof first === 'string' ? [first, ...words] : words;
  const named = Object.entries(facts).map(([name, value]) => `${name} ${String(value)}`);
  const line = [...said.map(String), ...(first instanceof Error ? [] : named)].join(' · ');
  return error === undefined ? line : `${line}\n${explainError(error)}`;
}
