import { applyDecorators, createParamDecorator, type ExecutionContext } from '@nestjs/common';
import { ApiHeader } from '@nestjs/swagger';
import type { FastifyRequest } from 'fastify';
import { generalProblems } from '../../kernel/general.problems.ts';
import { ProblemError } from '../../kernel/problem.ts';
import { httpProblems } from '../problems/http.problems.ts';
import { factsOf, routeFacts } from '../route-facts.ts';
import { type EntityTag, tagsIn, versionOf } from './entity-tags.ts';

/** The versions that an edit is meant for. `any` is the caller's own wish to overwrite whatever is there (`If-Match: *`); `not` excludes some. */
export type ExpectedVersion = readonly number[] | 'any' | { readonly not: readonly number[] };

/** The condition for a repository. */
export function versionIn(expected: ExpectedVersion) {
  if (expected === 'any') return {};
  return 'not' in expected ? { version: { notIn: [...expected.not] } } : { version: { in: [...expected] } };
}

/** Whether the edit is meant for this version. */
export function isExpected(expected: ExpectedVersion, version: number): boolean {
  if (expected === 'any') return true;
  return 'not' in expected ? !expected.not.includes(version) : expected.includes(version);
}

// Both preconditions are evaluated (RFC 9110, section 13.2.2): what is edited exists, so that `If-None-Match: *` is never met.
const readIfMatch = createParamDecorator((_: unknown, context: ExecutionContext): ExpectedVersion => {
  const request = context.switchToHttp().getRequest<FastifyRequest>();
  const wanted = tagsIn(request, 'if-match');
  if (wanted === null)
    throw httpProblems.preconditionRequired('Send If-Match with the ETag you have seen, or * to overwrite.');
  const unwanted = tagsIn(request, 'if-none-match');
  if (unwanted === 'any') return [];
  const not = versionsIn(unwanted ?? []);
  if (wanted === 'any') return not.length === 0 ? 'any' : { not };
  // A weak tag matches nothing here (RFC 9110, section 13.1.1), nor does one that is not ours.
  return versionsIn(wanted.filter(({ isWeak }) => !isWeak)).filter((version) => !not.includes(version));
});

const versionsIn = (tags: readonly EntityTag[]): number[] => tags.flatMap((tag) => versionOf(tag) ?? []);

/** Parameter: the versions from If-Match and If-None-Match. 428 when If-Match is missing, 400 when one holds no ETags. */
export const IfMatch = (): ParameterDecorator => readIfMatch();

/** Documents that a route needs If-Match. */
export const NeedsIfMatch = (): MethodDecorator =>
  applyDecorators(
    routeFacts({ takesIfMatch: true }),
    ApiHeader({
      name: 'If-Match',
      required: true,
      description: 'ETag of the version to change, or *',
      schema: { type: 'string', maxLength: 1000, examples: ['"7-Jq0mGvRk2LwXc3tS"'] },
    }),
  );

/** Says what is wrong with the tags where it is they, and not somebody else's edit, that make the versions differ. */
export function explainMismatch(error: unknown, request: FastifyRequest): unknown {
  if (!(error instanceof ProblemError) || error.type !== generalProblems.versionMismatch) return error;
  if (factsOf(request).takesIfMatch !== true) return error;
  const { version } = error.options;
  if (version === undefined) return error;
  const reason = reasonIn(request, version);
  return reason === null ? error : generalProblems.versionMismatch(reason, { version, cause: error });
}

function reasonIn(request: FastifyRequest, present: number): string | null {
  if (tagsIn(request, 'if-none-match') !== null && matches(request, present))
    return 'If-None-Match names the version that is there.';
  const wanted = tagsIn(request, 'if-match');
  if (wanted === null || wanted === 'any') return null;
  if (wanted.some((tag) => tag.isWeak && versionOf(tag) === present))
    return 'If-Match holds a weak ETag (W/), which matches nothing: something on the way, such as a proxy that compresses, has changed the ETag. Send it without W/.';
  return wanted.every((tag) => versionOf(tag) === null) ? 'If-Match holds no ETag that was given out here.' : null;
}

function matches(request: FastifyRequest, present: number): boolean {
  const tags = tagsIn(request, 'if-match');
  return tags === 'any' || (tags ?? []).some((tag) => !tag.isWeak && versionOf(tag) === present);
}
