import type { Duplex } from 'node:stream';
import type { ProblemType } from '../../kernel/problem.ts';
import { newRequestId } from '../request-ids.ts';
import { httpProblems } from './http.problems.ts';
import { typeOf } from './problem-pages.ts';
import type { Problem } from './problem.ts';

const refusals: Record<string, [problem: ProblemType, detail: string]> = {
  HPE_HEADER_OVERFLOW: [httpProblems.headersTooLarge, 'The headers are larger than is allowed.'],
  ERR_HTTP_REQUEST_TIMEOUT: [httpProblems.requestTooSlow, 'The request did not arrive in time.'],
};

/** Answers what is not HTTP, too slow, or too large in its headers: no request has come into being that a filter could answer. */
export function answerUnreadable(
  error: NodeJS.ErrnoException,
  socket: Duplex,
  headers: Readonly<Record<string, string>>,
): void {
  if (error.code === 'ECONNRESET' || !socket.writable) return void socket.destroy();
  const [type, detail] = refusals[error.code ?? ''] ?? [httpProblems.malformedRequest, 'The request is not HTTP.'];
  answerRaw(socket, type, detail, headers);
}

/** Writes a problem to a connection as it is, and ends it. */
export function answerRaw(
  socket: Duplex,
  { code, status, title, retry }: ProblemType,
  detail: string,
  headers: Readonly<Record<string, string>>,
): void {
  const requestId = newRequestId();
  const type = typeOf(code);
  const problem: Problem = { type, title, status, detail, instance: '', code, retryable: retry === 'later', requestId };
  const body = JSON.stringify(problem);
  const all = {
    'content-type': 'application/problem+json',
    'content-length': String(Buffer.byteLength(body)),
    'cache-control': 'no-store',
    'request-id': requestId,
    ...(retry === 'later' && { 'retry-after': '1' }),
    ...headers,
    connection: 'close',
  };
  const head = Object.entries(all).map(([name, value]) => `${name}: ${value}`);
  socket.end([`HTTP/1.1 ${status} ${title}`, ...head, '', body].join('\r\n'));
}
