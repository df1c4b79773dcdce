import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import type { Duplex } from 'node:stream';
import type { FastifyInstance, FastifyRequest } from 'fastify';
import type { ProblemError } from '../../kernel/problem.ts';
import { httpProblems } from '../problems/http.problems.ts';
import { answerRaw } from '../problems/unreadable.ts';

// RFC 3986, section 3.2: a host with a port, and no user before it.
const host = /^(?:\[[\da-f:.]+\]|[\w.~!$&'()*+,;=%-]*)(?::\d{0,5})?$/i;
const versions = new Set(['1.0', '1.1']);

/**
 * Refuses what Node would let through, or answer by itself without a problem: an HTTP version that is not spoken here, a Host that is missing
 * or none (RFC 9112, section 3.2), an expectation that is not known (RFC 9110, section 10.1.1).
 */
export function demandConformance(fastify: FastifyInstance): void {
  fastify.addHook('onRequest', (request: FastifyRequest, _, done) => done(mistakeIn(request.raw) ?? undefined));
  // Whoever is refused by a hook is not asked to send the body.
  fastify.addHook('preParsing', (request: FastifyRequest, reply, _, done) => {
    if (request.raw.headers.expect !== undefined) reply.raw.writeContinue();
    done();
  });
}

/** Lets requests through to the hooks that Node would answer by itself. */
export function answerForNode(server: Server): void {
  const pass = (request: IncomingMessage, response: ServerResponse) => void server.emit('request', request, response);
  server.on('checkContinue', pass).on('checkExpectation', pass);
  server.on('connect', (_: IncomingMessage, socket: Duplex) =>
    answerRaw(socket, httpProblems.methodNotAllowed, 'This is no proxy.', { allow: 'GET, HEAD, POST, PATCH, DELETE' }),
  );
}

function mistakeIn({ httpVersion, headers }: IncomingMessage): ProblemError | null {
  if (!versions.has(httpVersion)) return httpProblems.httpVersionNotSupported('HTTP/1.1 and HTTP/1.0 are spoken here.');
  if (headers.host === undefined ? httpVersion === '1.1' : !host.test(headers.host))
    return httpProblems.malformedRequest('Host must name the host that is asked, once.');
  if (headers.expect !== undefined && headers.expect.toLowerCase() !== '100-continue')
    return httpProblems.expectationFailed('Only 100-continue can be expected.');
  return null;
}

/** The path of a URL in absolute form (RFC 9112, section 3.2.2), whoever it names: the host is no part of what is answered. */
export function pathOf({ url = '/' }: { readonly url?: string | undefined }): string {
  const path = url.replace(/^https?:\/\/[^/?#]*/i, '');
  return path.startsWith('/') || path === '*' ? path : `/${path}`;
}
