import { applyDecorators, createParamDecorator, type ExecutionContext } from '@nestjs/common';
import { ApiHeader } from '@nestjs/swagger';
import type { FastifyRequest } from 'fastify';
import { HttpProblem } from './problem.ts';

/** The versions that an edit is meant for. `any` is the caller's own wish to overwrite whatever is there (`If-Match: *`). */
export type ExpectedVersion = readonly number[] | 'any';

/** The condition for a repository. */
export const versionIn = (expected: ExpectedVersion) => (expected === 'any' ? {} : { version: { in: [...expected] } });

const mostTags = 10;
const entityTag = /^(W\/)?"([\x21\x23-\x7e]{0,100})"$/;
// Ours: the version, and behind it what the body was (see etags.ts).
const ours = /^(\d{1,9})(?:-[\w-]{16})?$/;

const readIfMatch = createParamDecorator((_: unknown, context: ExecutionContext): ExpectedVersion => {
  const header = context.switchToHttp().getRequest<FastifyRequest>().headers['if-match'];
  if (header === undefined)
    throw new HttpProblem(
      428,
      'precondition-required',
      'Send If-Match with the ETag you have seen, or * to overwrite.',
    );
  if (header.trim() === '*') return 'any';
  const tags = header.split(',').map((tag) => entityTag.exec(tag.trim()));
  if (tags.length > mostTags || tags.includes(null))
    throw new HttpProblem(400, 'malformed-if-match', 'If-Match must be ETags as they were received, or *.');
  return tags.flatMap((tag) => versionOf(tag));
});

// A weak tag matches nothing (RFC 9110, section 13.1.1), nor does one that is not ours.
function versionOf(tag: RegExpExecArray | null): number[] {
  const [, weak, opaque = ''] = tag ?? [];
  const version = weak === undefined ? ours.exec(opaque)?.[1] : undefined;
  return version === undefined ? [] : [Number(version)];
}

/** Parameter: the versions from If-Match (RFC 9110, section 13.1.1). 428 when it is missing, 400 when it holds no ETags. */
export const IfMatch = (): ParameterDecorator => readIfMatch();

/** Documents that a route needs If-Match. */
export const NeedsIfMatch = (): MethodDecorator =>
  applyDecorators(
    ApiHeader({
      name: 'If-Match',
      required: true,
      description: 'ETag of the version to change, or *',
      schema: { type: 'string', maxLength: 1000, examples: ['"7-Jq0mGvRk2LwXc3tS"'] },
    }),
  );
