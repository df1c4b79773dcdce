import type { FastifyInstance, FastifyRequest } from 'fastify';
import type { ProblemError } from '../../kernel/problem.ts';
import { httpProblems } from '../problems/http.problems.ts';

/** An entity tag (RFC 9110, section 8.8.3). */
export interface EntityTag {
  readonly isWeak: boolean;
  /** What stands between the quotation marks. */
  readonly opaque: string;
}

/** The content codings that answers are sent with. */
export const codings = ['br', 'gzip'] as const;
export type Coding = (typeof codings)[number] | 'identity';

const mostTags = 10;
const pattern = /^(W\/)?"([\x21\x23-\x7e]{0,100})"$/;
// The version, behind it what the body was, and behind that how it was coded: by us, or by a proxy, which writes its suffix in its own way.
const ours = /^(0|[1-9]\d{0,8})(?:-[\w-]{16})?(?:[-;]{1,2}(?:br|gzip|zstd|deflate|df))?$/;

type Name = 'if-match' | 'if-none-match';

/** The tags that such a header names; `any` for `*`, null without one. Throws malformed-if-match, malformed-if-none-match. */
export function tagsIn({ headers }: FastifyRequest, name: Name): readonly EntityTag[] | 'any' | null {
  const text = headers[name]?.trim();
  if (text === undefined) return null;
  if (text === '*') return 'any';
  const found = text.split(',').map((tag) => pattern.exec(tag.trim()));
  if (found.length > mostTags || found.includes(null)) throw malformed(name);
  return found.map((one) => ({ isWeak: one?.[1] !== undefined, opaque: one?.[2] ?? '' }));
}

/** The version that a tag of ours stands for; null for one that is not as we write it. */
export function versionOf({ opaque }: EntityTag): number | null {
  const version = ours.exec(opaque)?.[1];
  return version === undefined ? null : Number(version);
}

/** Refuses headers that hold no tags before anything is done. */
export function refuseMalformedTags(fastify: FastifyInstance): void {
  fastify.addHook('onRequest', (request: FastifyRequest, _, done) => {
    tagsIn(request, 'if-match');
    tagsIn(request, 'if-none-match');
    done();
  });
}

const malformed = (name: Name): ProblemError =>
  name === 'if-match'
    ? httpProblems.malformedIfMatch('If-Match must be ETags as they were received, or *.')
    : httpProblems.malformedIfNoneMatch('If-None-Match must be ETags as they were received, or *.');
