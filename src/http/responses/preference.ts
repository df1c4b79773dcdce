import type { FastifyRequest } from 'fastify';
import type { Shown } from './shown.ts';

/**
 * Whether the request asks by `Prefer: return=minimal` (RFC 7240, section 4.2) for an answer without a body, and is a write. The headers do
 * not stay away. What was made is answered 201 as ever and can be read at its Location; what was changed is answered 204. An answer that
 * could not be read again, such as the tokens of a log-in, is given all the same: a preference may be left alone.
 */
export function prefersMinimal({ method, headers: { prefer } }: FastifyRequest): boolean {
  if (prefer === undefined || method === 'GET' || method === 'HEAD') return false;
  const preferences = [prefer].flat().join(',').split(',');
  const wanted = preferences.map((one) => (one.split(';')[0] ?? '').trim().toLowerCase().replaceAll(/\s|"/g, ''));
  // The first `return` among the preferences counts.
  return wanted.find((one) => one.startsWith('return=')) === 'return=minimal';
}

/** The response without its body, where that may be left out. */
export function minimal(shown: Shown): Shown {
  const { status, headers, body } = shown;
  const mayBeLeftOut = body !== undefined && (status === 200 || (status === 201 && 'location' in headers));
  if (!mayBeLeftOut) return shown;
  return {
    status: status === 200 ? 204 : status,
    headers: { ...headers, 'preference-applied': 'return=minimal' },
    body: undefined,
  };
}
