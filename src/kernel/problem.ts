import { MisuseError } from './loggable-error.ts';

/**
 * The HTTP status of each kind of problem: the only place in which a kind becomes a status. The kinds are those of RFC 9110, section 15;
 * 423, 424 and 507: RFC 4918; 425: RFC 8470; 428, 429 and 431: RFC 6585; 451: RFC 7725.
 */
export const statusOfKind = {
  malformed: 400,
  unauthorized: 401,
  paymentRequired: 402,
  forbidden: 403,
  notFound: 404,
  methodNotAllowed: 405,
  notAcceptable: 406,
  timeout: 408,
  conflict: 409,
  gone: 410,
  lengthRequired: 411,
  stale: 412,
  tooLarge: 413,
  urlTooLong: 414,
  unsupported: 415,
  rangeNotSatisfiable: 416,
  expectationFailed: 417,
  teapot: 418,
  misdirected: 421,
  invalid: 422,
  locked: 423,
  failedDependency: 424,
  tooEarly: 425,
  upgradeRequired: 426,
  preconditionRequired: 428,
  tooManyRequests: 429,
  headersTooLarge: 431,
  unavailableForLegalReasons: 451,
  internal: 500,
  notImplemented: 501,
  badGateway: 502,
  unavailable: 503,
  gatewayTimeout: 504,
  versionNotSupported: 505,
  insufficientStorage: 507,
} as const;
export type ProblemKind = keyof typeof statusOfKind;

/** What a module writes down of a problem, once. */
export interface ProblemDefinition {
  readonly kind: ProblemKind;
  /** Stable, in kebab-case: clients branch on it. A constraint of the database that refuses the same has the same name. */
  readonly code: string;
  readonly title: string;
  /** What it means and what to do about it, in sentences. */
  readonly meaning: string;
  /** What is answered where the thrower says nothing else. Default: the title as a sentence. */
  readonly detail?: string;
  /**
   * `later`: the same request may succeed later. `with-key`: nobody knows what became of the request; with an Idempotency-Key the same one
   * may be sent again. Left out: the same request is refused as long as nothing else changes.
   */
  readonly retry?: 'later' | 'with-key';
}

/** One place of the input that was refused. `pointer` is a JSON pointer (RFC 6901) into the body, `parameter` names a query parameter. */
export interface ErrorPlace {
  readonly pointer?: string;
  readonly parameter?: string;
  readonly code: string;
  readonly detail?: string;
  readonly [member: string]: unknown;
}

export interface ProblemOptions {
  readonly errors?: readonly ErrorPlace[] | undefined;
  /** Short for one place in `errors` with the code of the problem. */
  readonly pointer?: string | undefined;
  /** The version that is there instead of the expected one. */
  readonly version?: number;
  /** Further headers of the answer. */
  readonly headers?: Readonly<Record<string, string>>;
  /** Further members of the answer. */
  readonly members?: Readonly<Record<string, unknown>>;
  readonly cause?: unknown;
}

/** A problem type (RFC 9457, section 3.1.1) as a module throws it: `throw orderProblems.notCancellable('The order is cancelled.')`. */
export interface ProblemType extends Required<Omit<ProblemDefinition, 'retry'>> {
  (detail?: string, options?: ProblemOptions): ProblemError;
  readonly status: number;
  readonly retry: 'never' | 'later' | 'with-key';
}

/** The refusal that a caller is told of. `code` is stable: clients branch on it; `message` is for people. */
export class ProblemError extends Error {
  override readonly name = 'ProblemError';
  readonly type: ProblemType;
  readonly options: ProblemOptions;
  readonly errors: readonly ErrorPlace[];

  constructor(type: ProblemType, message: string = type.detail, options: ProblemOptions = {}) {
    super(message, { cause: options.cause });
    this.type = type;
    this.options = options;
    const { errors = [], pointer } = options;
    this.errors = pointer === undefined ? errors : [{ pointer, code: type.code }, ...errors];
  }

  get code(): string {
    return this.type.code;
  }

  /** The same refusal of a part of the body: its pointers begin with that of the part. */
  within(part: string): ProblemError {
    const places = this.errors.map((place) =>
      place.pointer === undefined ? place : { ...place, pointer: part + place.pointer },
    );
    const errors = places.length > 0 ? places : [{ pointer: part, code: this.code }];
    return new ProblemError(this.type, this.message, { ...this.options, pointer: undefined, errors });
  }
}

// Like the registry of zod: what is defined is known by its code for as long as the process lives.
const defined = new Map<string, ProblemType>();

/**
 * Defines the problems of a module: each becomes a function that makes the error. They appear in the OpenAPI document, in
 * docs/problems.md, and a constraint of the database with the same name is answered with it. Throws when another one has the code.
 */
export function defineProblems<Member extends string>(
  definitions: Readonly<Record<Member, ProblemDefinition>>,
): Readonly<Record<Member, ProblemType>> {
  const types = Object.entries<ProblemDefinition>(definitions).map(([member, definition]) => [
    member,
    register(definition),
  ]);
  return Object.fromEntries(types) as Record<Member, ProblemType>;
}

function register({ kind, code, title, meaning, detail = `${title}.`, retry }: ProblemDefinition): ProblemType {
  if (defined.has(code)) throw new MisuseError(`The problem ${code} is defined twice. Import the first definition.`);
  const make = (message?: string, options?: ProblemOptions): ProblemError => new ProblemError(type, message, options);
  const status = statusOfKind[kind];
  const type: ProblemType = Object.assign(make, {
    kind,
    code,
    title,
    meaning,
    detail,
    retry: retry ?? ('never' as const),
    status,
  });
  defined.set(code, type);
  return type;
}

/** What is known by this code; undefined for one that nobody defined. */
export const problemOf = (code: string): ProblemType | undefined => defined.get(code);

/** Every problem of the modules that have been loaded, by code. */
export const allProblems = (): ProblemType[] => [...defined.values()].sort((a, b) => (a.code < b.code ? -1 : 1));

/** That a thing is not there, or belongs to somebody else: the code is `<thing>-not-found`. */
export const notFoundProblem = (thing: string): ProblemDefinition => ({
  kind: 'notFound',
  code: `${thing.toLowerCase().replaceAll(' ', '-')}-not-found`,
  title: `No such ${thing}`,
  meaning: `There is no such ${thing}, or it is not yours. \`errors\` points to it when it was named in the body.`,
  detail: `There is no such ${thing}.`,
});

/** That a value which only one may have belongs to somebody else. */
export const takenProblem = (code: string, title: string): ProblemDefinition => ({
  kind: 'conflict',
  code,
  title,
  meaning: 'Somebody else has it already. Choose another.',
});

/** The value, or this problem where there is none: absence is decided in one named place, the service's `get…`. */
export function found<T>(value: T | null | undefined, problem: ProblemType, detail?: string): T {
  if (value === null || value === undefined) throw problem(detail);
  return value;
}

/** What the work gives, or the problem that it throws: for a batch, which answers each part by itself. Other errors pass. */
export function attempt<T>(work: () => T): T | ProblemError {
  try {
    return work();
  } catch (error) {
    if (error instanceof ProblemError) return error;
    throw error;
  }
}

/** The same of work that is under way. */
export async function attempted<T>(work: Promise<T>): Promise<T | ProblemError> {
  try {
    return await work;
  } catch (error) {
    if (error instanceof ProblemError) return error;
    throw error;
  }
}

/** Does the work for a part of the body: the pointers of a problem that it throws begin with that of the part, a JSON pointer. */
export async function within<T>(part: string, work: Promise<T>): Promise<T> {
  const result = await attempted(work);
  if (result instanceof ProblemError) throw result.within(part);
  return result;
}
