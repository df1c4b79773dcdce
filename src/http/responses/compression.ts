import { promisify } from 'node:util';
import { brotliCompress, constants, gzip } from 'node:zlib';
import type { FastifyReply, FastifyRequest } from 'fastify';
import Negotiator from 'negotiator';
import { type Coding, codings } from '../conditional/entity-tags.ts';
import { factsOf } from '../route-facts.ts';

/** Shorter answers are sent as they are: the headers weigh as much. */
const leastBytes = 1400;
/**
 * How many answers are compressed at a time. zlib works in libuv's threads, where passwords are hashed and files are read too; what comes
 * beyond is sent as it is instead of waiting.
 */
const mostAtOnce = 2;
const [mostKept, mostKeptBytes] = [64, 16_777_216];

const coders: Record<Exclude<Coding, 'identity'>, (body: string | Buffer) => Promise<Buffer>> = {
  br: (body) => promisify(brotliCompress)(body, { params: { [constants.BROTLI_PARAM_QUALITY]: 4 } }),
  gzip: (body) => promisify(gzip)(body, { level: 6 }),
};

/** Compresses answers, and keeps what is the same for everybody. */
export class Compression {
  private running = 0;
  private keptBytes = 0;
  private readonly kept = new Map<string, Buffer>();

  /** The codings that an answer may have for its reader, the one that it gets first; `identity` alone where none is worth it. */
  codingsFor(request: FastifyRequest, reply: FastifyReply, bytes: number): readonly Coding[] {
    if (bytes < leastBytes || reply.hasHeader('content-encoding') || factsOf(request).answersSecrets === true)
      return ['identity'];
    const accepted = acceptedBy(request);
    return this.running < mostAtOnce ? accepted : ['identity', ...accepted.filter((coding) => coding !== 'identity')];
  }

  /** The body in this coding. What has a `key` is the same whenever it is asked for by that, and is kept within bounds. */
  async encode(body: string | Buffer, coding: Exclude<Coding, 'identity'>, key: string | null): Promise<Buffer> {
    const known = key === null ? undefined : this.kept.get(key);
    if (known !== undefined) return known;
    this.running++;
    try {
      const encoded = await coders[coding](body);
      if (key !== null) this.keep(key, encoded);
      return encoded;
    } finally {
      this.running--;
    }
  }

  private keep(key: string, encoded: Buffer): void {
    if (this.kept.size >= mostKept || this.keptBytes + encoded.length > mostKeptBytes) return;
    this.keptBytes += encoded.length;
    this.kept.set(key, encoded);
  }
}

// Their types do not know yet that it takes what the server prefers.
interface Preferring {
  encodings(available: readonly Coding[], options: { readonly preferred: readonly Coding[] }): readonly Coding[];
}

/** By the weights of Accept-Encoding (RFC 9110, section 12.5.3), ours first among equals. */
function acceptedBy({ raw }: FastifyRequest): readonly Coding[] {
  if (raw.headers['accept-encoding'] === undefined) return ['identity'];
  const negotiator = new Negotiator(raw) as unknown as Preferring;
  const accepted = negotiator.encodings([...codings, 'identity'], { preferred: codings });
  return accepted.length === 0 ? ['identity'] : accepted;
}
