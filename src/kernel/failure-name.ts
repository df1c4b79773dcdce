import { isLoggable } from './loggable-error.ts';

const code = /^[A-Z][A-Z_]{2,40}$/;

/** By what name a call to somebody else's server has failed: no message, which may hold a URL or an address. */
export function failureName(error: unknown): string {
  if (isLoggable(error)) return error.name;
  // By its members: what Node throws need not be of our Error.
  const { name = 'unknown', code: given = '' } = (error ?? {}) as { name?: string; code?: string };
  if (name === 'AbortError' || name === 'TimeoutError') return 'timeout';
  return code.test(given) ? given : name.slice(0, 60);
}
