import { AsyncLocalStorage } from 'node:async_hooks';
import type { FastifyInstance, FastifyRequest } from 'fastify';
import { showId } from '../../kernel/ids.ts';
import type { Principal } from '../../kernel/principal.ts';

/** What a line of the log says of a request: who asked, from where, and with which problem it was answered. */
export interface Asker {
  address?: string;
  userId?: string;
  sessionId?: string;
  code?: string;
}

declare module 'fastify' {
  interface FastifyRequest {
    /** Null before the first hook, and for what is refused before it. */
    asker: Asker | null;
  }
}

// For the lines that are written while a request is answered; nothing but the log reads it.
const current = new AsyncLocalStorage<FastifyRequest>();

/** Notes where each request comes from, and keeps it at hand for the lines that are written meanwhile. */
export function followAskers(fastify: FastifyInstance): void {
  fastify.decorateRequest('asker', null);
  fastify.addHook('onRequest', (request, _, done) => {
    request.asker = { address: request.ip };
    current.run(request, done);
  });
  // Once more behind the parsing of a body, whose events lose the context.
  fastify.addHook('preValidation', (request, _, done) => {
    if (current.getStore() === request) done();
    else current.run(request, done);
  });
}

export function noteCaller(request: FastifyRequest, { userId, sessionId }: Principal): void {
  const asker = (request.asker ??= {});
  asker.userId = showId('usr', userId);
  asker.sessionId = showId('ses', sessionId);
}

export function noteProblem(request: FastifyRequest, code: string): void {
  (request.asker ??= {}).code = code;
}

/** The request that is being answered; undefined outside. */
export const requestNow = (): FastifyRequest | undefined => current.getStore();
