/** Where in the work of the service an error arose. */
export interface ErrorOrigin {
  /** The boundary that was running. */
  readonly boundary?: string;
  /** Which run of its work that was, from 1. */
  readonly attempt?: number;
  /** The call of the client that failed: `order.create`. */
  readonly call?: string;
  /** The frames of that call, without those of Node, of packages and of the core. */
  readonly calledAt?: string;
}

// Stored beside the errors, because errors of Prisma and pg should not be modified.
const origins = new WeakMap<object, ErrorOrigin>();

/** Records the origin, unless an inner call has recorded one. Returns the error. */
export function noteOrigin<Thrown>(error: Thrown, origin: ErrorOrigin): Thrown {
  if (typeof error === 'object' && error !== null) origins.set(error, { ...origin, ...origins.get(error) });
  return error;
}

/** What is known of where an error arose. */
export const originOf = (error: unknown): ErrorOrigin =>
  (typeof error === 'object' && error !== null ? origins.get(error) : undefined) ?? {};
