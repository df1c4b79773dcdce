import { createHash } from 'node:crypto';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';

const versioned = /^"(\d{1,9})"$/;

/**
 * Gives each answer to GET a strong ETag (RFC 9110, section 8.8.3), and 304 to whoever has it already. The tag is a hash of the body; that
 * of a versioned resource, also where it was written, begins with its version, which is all that If-Match asks for: what is shown beside
 * the resource, as stock beside a product, changes the tag but does not stand in the way of an edit.
 */
export function answerWithETags(fastify: FastifyInstance): void {
  fastify.addHook('onSend', async (request, reply, payload) => {
    if (!isBody(payload) || reply.statusCode >= 300) return payload;
    const isRead = request.method === 'GET' && reply.statusCode === 200;
    const version = versioned.exec(String(reply.getHeader('etag')))?.[1];
    if (!isRead && version === undefined) return payload;
    const tag = tagOf(payload, version);
    void reply.header('etag', tag);
    if (isRead) forCaches(request, reply);
    return isRead && has(request, tag) ? notModified(reply) : payload;
  });
}

const isBody = (payload: unknown): payload is string => typeof payload === 'string' && payload !== '';

// 16 characters of base64: 96 bits.
const tagOf = (payload: string, version: string | undefined): string => {
  const hash = createHash('sha256').update(payload).digest('base64url').slice(0, 16);
  return version === undefined ? `"${hash}"` : `"${version}-${hash}"`;
};

// Whoever keeps it asks each time, and shows to nobody else what was read with a token.
function forCaches({ headers }: FastifyRequest, reply: FastifyReply): void {
  if (!reply.hasHeader('cache-control'))
    void reply.header('cache-control', headers.authorization === undefined ? 'no-cache' : 'private, no-cache');
  void reply.header('vary', 'authorization');
}

// Weak comparison, as If-None-Match asks for (RFC 9110, section 13.1.2).
function has({ headers }: FastifyRequest, tag: string): boolean {
  const known = headers['if-none-match'];
  if (known === undefined) return false;
  return known.trim() === '*' || known.split(',').some((one) => one.trim().replace(/^W\//, '') === tag);
}

function notModified(reply: FastifyReply): null {
  void reply.code(304).removeHeader('content-type').removeHeader('content-length');
  return null;
}
