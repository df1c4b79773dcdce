import { AsyncLocalStorage } from 'node:async_hooks';
import type { IncomingMessage } from 'node:http';
import type { FastifyInstance } from 'fastify';
import { showId } from '../kernel/ids.ts';
import type { Principal } from '../kernel/principal.ts';

/** What a line of the log says of a request: who asked, from where, and with which problem it was answered. */
export interface Asker {
  address?: string;
  userId?: string;
  sessionId?: string;
  code?: string;
}

const askers = new WeakMap<IncomingMessage, Asker>();
// For the lines that are written while a request is answered; nothing but the log reads it.
const current = new AsyncLocalStorage<IncomingMessage>();

/** Notes where each request comes from, and keeps it at hand for the lines that are written meanwhile. */
export function followAskers(fastify: FastifyInstance): void {
  fastify.addHook('onRequest', (request, _, done) => {
    note(request.raw, { address: request.ip });
    current.run(request.raw, done);
  });
  // Once more behind the parsing of the body, whose events lose the context.
  fastify.addHook('preValidation', (request, _, done) => current.run(request.raw, done));
}

export function noteCaller(request: IncomingMessage, { userId, sessionId }: Principal): void {
  note(request, { userId: showId('usr', userId), sessionId: showId('ses', sessionId) });
}

export function noteProblem(request: IncomingMessage, code: string): void {
  note(request, { code });
}

/** What is known of who sent it. */
export const askerOf = (request: IncomingMessage): Asker => askers.get(request) ?? {};

/** The request that is being answered; undefined outside. */
export const requestNow = (): IncomingMessage | undefined => current.getStore();

function note(request: IncomingMessage, what: Asker): void {
  askers.set(request, { ...askers.get(request), ...what });
}
