import { deserialize, serialize } from 'node:v8';
import { HttpException } from '@nestjs/common';
import { MisuseError } from '../kernel/loggable-error.ts';
import { type ErrorPlace, ProblemError, problemOf } from '../kernel/problem.ts';

// What a run keeps of itself: arguments, phases and its outcome each.
const largest = 1_000_000;

interface Refusal {
  readonly code: string;
  readonly message: string;
  readonly errors: readonly ErrorPlace[];
  readonly version: number | undefined;
}

type Outcome =
  | { readonly value: unknown }
  | { readonly refusal: Refusal }
  | { readonly exception: { readonly status: number; readonly response: string | object } };

/** As a structured clone (HTML, 2.7), which keeps bigint, Date, Map and the like. Throws MisuseError for what has none or is too large. */
export function packed(what: string, value: unknown): Uint8Array {
  let bytes: Buffer;
  try {
    bytes = serialize(value);
  } catch (cause) {
    throw new MisuseError(`${what} cannot be kept: it must be plain data.`, { cause });
  }
  if (bytes.length > largest)
    throw new MisuseError(`${what} has ${bytes.length} bytes, and at most ${largest} are kept.`);
  return bytes;
}

export const unpacked = (bytes: Uint8Array): unknown => deserialize(bytes);

/** The outcome of a method that has returned. */
export const returned = (what: string, value: unknown): Uint8Array => packed(what, { value } satisfies Outcome);

/** The outcome of a method that has thrown; null where the error is no refusal, so that the method is called again. */
export function refused(error: unknown): Uint8Array | null {
  if (error instanceof ProblemError && error.type.kind !== 'unavailable') {
    const { code, message, errors, options } = error;
    return packed('A refusal', { refusal: { code, message, errors, version: options.version } } satisfies Outcome);
  }
  if (!(error instanceof HttpException) || error.getStatus() >= 500) return null;
  const exception = { status: error.getStatus(), response: error.getResponse() };
  return packed('A refusal', { exception } satisfies Outcome);
}

/** What the method has returned; throws what it was refused with. */
export function settled(bytes: Uint8Array): unknown {
  const outcome = unpacked(bytes) as Outcome;
  if ('value' in outcome) return outcome.value;
  if ('exception' in outcome) throw new HttpException(outcome.exception.response, outcome.exception.status);
  const { code, message, errors, version } = outcome.refusal;
  const problem = problemOf(code);
  if (problem === undefined) throw new MisuseError(`A run was refused with ${code}, which is not defined any more.`);
  throw problem(message, { errors, ...(version !== undefined && { version }) });
}
