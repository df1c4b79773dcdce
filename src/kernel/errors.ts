/** What kind of refusal it is. `http/problem.filter.ts` holds the one map from kind to status. */
export type ErrorKind = 'not_found' | 'conflict' | 'invalid' | 'forbidden' | 'unauthorized' | 'stale' | 'unavailable';

/** One place of the input that was refused. `pointer` is a JSON pointer (RFC 6901) into the body, `parameter` names a query parameter. */
export interface ErrorPlace {
  readonly pointer?: string;
  readonly parameter?: string;
  readonly code: string;
  readonly detail?: string;
  readonly [member: string]: unknown;
}

interface ErrorOptions {
  readonly errors?: readonly ErrorPlace[];
  /** Whether the same request may succeed later without being changed. */
  readonly retryable?: boolean;
  /** The version that is there instead of the expected one. */
  readonly version?: number;
  readonly cause?: unknown;
}

/** A refusal that the caller is told of. `code` is stable: clients branch on it; `message` is for people. */
export class AppError extends Error {
  readonly kind: ErrorKind;
  readonly code: string;
  readonly errors: readonly ErrorPlace[];
  readonly retryable: boolean;
  readonly version: number | null;

  constructor(kind: ErrorKind, code: string, message: string, options: ErrorOptions = {}) {
    super(message, { cause: options.cause });
    this.name = 'AppError';
    this.kind = kind;
    this.code = code;
    this.errors = options.errors ?? [];
    this.retryable = options.retryable ?? false;
    this.version = options.version ?? null;
  }

  /** The same refusal of a part of the body: its pointers begin with that of the part. */
  within(part: string): AppError {
    const places = this.errors.map((place) =>
      place.pointer === undefined ? place : { ...place, pointer: part + place.pointer },
    );
    const errors = places.length > 0 ? places : [{ pointer: part, code: this.code }];
    const { kind, code, message, retryable, cause } = this;
    return new AppError(kind, code, message, { errors, retryable, cause });
  }
}

type Refusal = (code: string, message: string, options?: ErrorOptions) => AppError;
const refusal =
  (kind: ErrorKind): Refusal =>
  (code, message, options) =>
    new AppError(kind, code, message, options);

export const notFound = refusal('not_found');
export const conflict = refusal('conflict');
export const invalid = refusal('invalid');
export const forbidden = refusal('forbidden');
export const unauthorized = refusal('unauthorized');
export const stale = refusal('stale');
export const unavailable = refusal('unavailable');

/** The value, or a not-found error with this code: absence is decided in one named place, the service's `get…`. */
export function found<T>(value: T | null | undefined, code: string, message: string): T {
  if (value === null || value === undefined) throw notFound(code, message);
  return value;
}
