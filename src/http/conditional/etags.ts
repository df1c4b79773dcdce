import { hash } from 'node:crypto';
import { Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { httpProblems } from '../problems/http.problems.ts';
import { answerFor, bodyOf } from '../problems/problem.ts';
import { Compression } from '../responses/compression.ts';
import { factsOf } from '../route-facts.ts';
import { type Coding, type EntityTag, tagsIn } from './entity-tags.ts';

const versioned = /^"(\d{1,9})"$/;
const isRead = ({ method }: FastifyRequest): boolean => method === 'GET' || method === 'HEAD';

/**
 * Gives each answer to GET a strong ETag (RFC 9110, section 8.8.3), and 304 to whoever has it already. The tag is a hash of the body; that
 * of a versioned resource, also where it was written, begins with its version, which is all that If-Match asks for: what is shown beside
 * the resource, as stock beside a product, changes the tag but does not stand in the way of an edit. Each coding of a body has a tag of its
 * own. HEAD is answered with the headers of GET.
 */
export function answerWithETags(fastify: FastifyInstance): void {
  const compression = new Compression();
  fastify.addHook('onSend', (request, reply, payload, done: Sending) => {
    forCaches(request, reply);
    // The parts of a page are few, and the same for everybody: they are read whole.
    if (payload instanceof Readable && request.url.startsWith('/docs/'))
      buffer(payload).then((body) => send(request, reply, body, done), done);
    else if (isAtHand(payload) && reply.statusCode < 300) send(request, reply, payload, done);
    else done(null, payload);
  });

  function send(request: FastifyRequest, reply: FastifyReply, body: string | Buffer, done: Sending): void {
    const accepted = compression.codingsFor(request, reply, Buffer.byteLength(body));
    const [coding = 'identity'] = accepted;
    const tags = tagAll(request, reply, body, accepted);
    const other = isRead(request) && tags !== null ? answerOf(request, reply, tags) : null;
    if (other !== null) return done(null, other.payload);
    if (coding === 'identity') return done(null, body);
    const key = isPublic(request) ? String(reply.getHeader('etag')) : null;
    compression.encode(body, coding, key).then((encoded) => {
      void reply.header('content-encoding', coding).removeHeader('content-length');
      done(null, encoded);
    }, done);
  }
}

type Sending = (error: Error | null, payload?: unknown) => void;

const isAtHand = (payload: unknown): payload is string | Buffer =>
  (typeof payload === 'string' && payload !== '') || Buffer.isBuffer(payload);

// Documents and pages, which hold nothing of anybody.
const isPublic = ({ url }: FastifyRequest): boolean => !url.startsWith('/v1/');

/** The tag of each coding in which the reader may have the body. Null where there is none: only reads and what has a version are tagged. */
function tagAll(
  request: FastifyRequest,
  reply: FastifyReply,
  body: string | Buffer,
  accepted: readonly Coding[],
): ReadonlyMap<string, Coding> | null {
  const given = String(reply.getHeader('etag') ?? '');
  const version = versioned.exec(given)?.[1];
  const isTagged = (isRead(request) && reply.statusCode === 200) || version !== undefined;
  if (!isTagged) return null;
  const base = baseOf(body, version);
  const tags = new Map(accepted.map((coding) => [coding === 'identity' ? base : `${base}-${coding}`, coding]));
  void reply.header('etag', `"${[...tags.keys()][0]}"`);
  return tags;
}

// 16 characters of base64: 96 bits.
function baseOf(body: string | Buffer, version: string | undefined): string {
  const ofBody = hash('sha256', body, 'base64url').slice(0, 16);
  return version === undefined ? ofBody : `${version}-${ofBody}`;
}

/** 412 or 304 instead of the body, where a precondition says so: in the order of RFC 9110, section 13.2.2. */
function answerOf(
  request: FastifyRequest,
  reply: FastifyReply,
  tags: ReadonlyMap<string, Coding>,
): { readonly payload: string | Readable | null } | null {
  const wanted = tagsIn(request, 'if-match');
  if (wanted !== null && wanted !== 'any' && !wanted.some(({ isWeak, opaque }) => !isWeak && tags.has(opaque)))
    return { payload: failed(request, reply) };
  const known = tagsIn(request, 'if-none-match');
  if (known === null) return null;
  // Weak comparison, as If-None-Match asks for (section 13.1.2).
  const match = known === 'any' ? undefined : known.find(({ opaque }) => tags.has(opaque));
  return known === 'any' || match !== undefined ? { payload: notModified(request, reply, match) } : null;
}

function notModified(request: FastifyRequest, reply: FastifyReply, match: EntityTag | undefined): Readable | null {
  if (match !== undefined) void reply.header('etag', `"${match.opaque}"`);
  void reply.code(304).removeHeader('content-type').removeHeader('content-length');
  // What Fastify adds to a HEAD route reads the length of anything but a stream, and takes no null.
  return request.method === 'HEAD' ? Readable.from([]) : null;
}

function failed(request: FastifyRequest, reply: FastifyReply): string {
  const answer = answerFor(httpProblems.preconditionFailed('What is there now is none of what If-Match names.'));
  void reply.code(answer.status).type('application/problem+json').header('cache-control', 'no-store');
  void reply.removeHeader('link');
  return JSON.stringify(bodyOf(answer, request));
}

// Whoever keeps what is open to all asks each time; what was read for somebody stays nowhere, nor does the answer to a write.
function forCaches(request: FastifyRequest, reply: FastifyReply): void {
  const isOpen = isRead(request) && reply.statusCode === 200 && (factsOf(request).access ?? 'public') === 'public';
  if (!reply.hasHeader('cache-control')) void reply.header('cache-control', isOpen ? 'no-cache' : 'no-store');
  if (isRead(request)) vary(reply, 'authorization');
  vary(reply, 'accept-encoding');
}

/** Says of what header of the request the answer depends, beside those that were named before. */
export function vary(reply: FastifyReply, name: string): void {
  const known = reply.getHeader('vary');
  if (known === undefined) void reply.header('vary', name);
  else if (!String(known).split(', ').includes(name)) void reply.header('vary', `${String(known)}, ${name}`);
}
