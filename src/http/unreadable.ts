import type { Socket } from 'node:net';
import { newId, showId } from '../kernel/ids.ts';
import type { Problem } from './problem.ts';
import { type ProblemCode, problems, typeOf } from './problems.ts';

const refusals: Record<string, [code: ProblemCode, detail: string]> = {
  HPE_HEADER_OVERFLOW: ['headers-too-large', 'The headers are larger than is allowed.'],
  ERR_HTTP_REQUEST_TIMEOUT: ['request-too-slow', 'The request did not arrive in time.'],
};

/** Answers what is not HTTP, too slow, or too large in its headers: no request has come into being that a filter could answer. */
export function answerUnreadable(error: NodeJS.ErrnoException, socket: Socket): void {
  if (error.code === 'ECONNRESET' || !socket.writable) return void socket.destroy();
  const [code, detail] = refusals[error.code ?? ''] ?? ['malformed-request', 'The request is not HTTP.'];
  const { status, title, retryable } = problems[code];
  const requestId = showId('req', newId());
  const type = typeOf(code);
  const problem: Problem = { type, title, status, detail, instance: '', code, retryable, requestId };
  const body = JSON.stringify(problem);
  const head = [
    `HTTP/1.1 ${status} ${title}`,
    'content-type: application/problem+json',
    `content-length: ${Buffer.byteLength(body)}`,
    `request-id: ${requestId}`,
    'connection: close',
  ];
  socket.end(`${head.join('\r\n')}\r\n\r\n${body}`);
}
