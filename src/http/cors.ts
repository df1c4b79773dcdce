import type { IncomingHttpHeaders } from 'node:http';
import type { Duplex } from 'node:stream';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { vary } from './conditional/etags.ts';

/** What a page may send beside what every page may. */
const allowedHeaders =
  'Authorization, Content-Type, Idempotency-Key, If-Match, If-None-Match, Consistency-Token, Prefer, Request-Id, traceparent';
/** What a page may read of an answer beside what every page may. */
const exposedHeaders =
  'ETag, Location, Link, Consistency-Token, Idempotent-Replayed, Preference-Applied, RateLimit, RateLimit-Policy, Retry-After, Request-Id';
const methods = 'GET, HEAD, POST, PATCH, DELETE';
// Two hours: the most that a browser keeps what a preflight was told.
const maxAgeSeconds = 7200;

/**
 * Lets pages of the named origins use the API (the CORS protocol of the Fetch standard). First of all hooks, so that refusals can be read too,
 * and preflights, which carry no token, cost no quota. Tokens are headers that a page sets itself: there are no credentials to allow.
 */
export class Cors {
  private readonly origins: ReadonlySet<string>;
  /** Who asked last on a connection: Node answers a body that is too slow without a request. */
  private readonly asking = new WeakMap<object, string>();

  constructor(origins: readonly string[]) {
    this.origins = new Set(origins);
  }

  watch(fastify: FastifyInstance): void {
    if (this.origins.size === 0) return;
    fastify.addHook('onRequest', async (request, reply) => {
      const { origin } = request.headers;
      if (origin !== undefined) this.asking.set(request.raw.socket, origin);
      this.mark(request, reply);
      if (this.isPreflight(request)) await this.answerPreflight(reply);
    });
  }

  /** Says on an answer whether the page that asks may read it. */
  mark({ headers }: FastifyRequest, reply: FastifyReply): void {
    if (this.origins.size === 0) return;
    vary(reply, 'origin');
    void reply.headers(this.headersFor(headers.origin));
  }

  /** The same for an answer that passes no hook. */
  headersOfAnswer({ origin }: IncomingHttpHeaders): Record<string, string> {
    return this.origins.size === 0 ? {} : { vary: 'origin', ...this.headersFor(origin) };
  }

  /** What every answer to a page of this origin carries; nothing for others. */
  headersFor(origin: string | undefined): Record<string, string> {
    if (origin === undefined || !this.origins.has(origin)) return {};
    return { 'access-control-allow-origin': origin, 'access-control-expose-headers': exposedHeaders };
  }

  /** The same for an answer to what has not become a request. */
  headersOf({ rawPacket }: { readonly rawPacket?: unknown }, socket: Duplex): Record<string, string> {
    return this.headersOfAnswer({ origin: originIn(rawPacket) ?? this.asking.get(socket) });
  }

  private isPreflight({ method, headers }: FastifyRequest): boolean {
    const isAsked = method === 'OPTIONS' && headers['access-control-request-method'] !== undefined;
    return isAsked && headers.origin !== undefined && this.origins.has(headers.origin);
  }

  private async answerPreflight(reply: FastifyReply): Promise<void> {
    for (const name of ['access-control-request-method', 'access-control-request-headers']) vary(reply, name);
    void reply.removeHeader('access-control-expose-headers');
    await reply
      .code(204)
      .headers({
        'access-control-allow-methods': methods,
        'access-control-allow-headers': allowedHeaders,
        'access-control-max-age': String(maxAgeSeconds),
        'cache-control': 'no-store',
      })
      .send();
  }
}

/** The origin that stands in the first bytes of a request, of which Node could make none. */
function originIn(packet: unknown): string | undefined {
  const text = Buffer.isBuffer(packet) ? packet.toString('latin1') : '';
  return /\r\norigin:[ \t]*([^\r\n]{1,300}?)[ \t]*\r\n/i.exec(text)?.[1];
}
