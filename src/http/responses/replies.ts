import type { ServerResponse } from 'node:http';
import type { FastifyInstance, FastifyReply } from 'fastify';

const REPLY = Symbol('reply');
type Answering = ServerResponse & { [REPLY]?: FastifyReply };

/** Remembers which reply of Fastify a response of Node belongs to: a Nest middleware is given the latter, and so is a filter of what it throws. */
export function rememberReplies(fastify: FastifyInstance): void {
  fastify.addHook('onRequest', (_, reply, done) => {
    (reply.raw as Answering)[REPLY] = reply;
    done();
  });
}

/** The reply of Fastify, whichever of the two is given. */
export const replyOf = (response: FastifyReply | ServerResponse): FastifyReply =>
  (response as Answering)[REPLY] ?? (response as FastifyReply);
