import { applyDecorators, createParamDecorator, type ExecutionContext } from '@nestjs/common';
import { ApiHeader } from '@nestjs/swagger';
import type { FastifyRequest } from 'fastify';
import { HttpProblem } from './problem.ts';

/** The version that an edit is meant for. `any` is the caller's own wish to overwrite whatever is there (`If-Match: *`). */
export type ExpectedVersion = number | 'any';

const readIfMatch = createParamDecorator((_: unknown, context: ExecutionContext): ExpectedVersion => {
  const header = context.switchToHttp().getRequest<FastifyRequest>().headers['if-match'];
  if (header === undefined)
    throw new HttpProblem(
      428,
      'precondition-required',
      'Send If-Match with the ETag you have seen, or * to overwrite.',
    );
  if (header.trim() === '*') return 'any';
  const version = /^"(\d{1,9})"$/.exec(header.trim())?.[1];
  if (version === undefined)
    throw new HttpProblem(400, 'malformed-if-match', 'If-Match must be one ETag, such as "7", or *.');
  return Number(version);
});

/** Parameter: the version from If-Match (RFC 9110, section 13.1.1). 428 when it is missing, 400 when it is no ETag. */
export const IfMatch = (): ParameterDecorator => readIfMatch();

/** Documents that a route needs If-Match. */
export const NeedsIfMatch = (): MethodDecorator =>
  applyDecorators(
    ApiHeader({
      name: 'If-Match',
      required: true,
      description: 'ETag of the version to change, or *',
      schema: { type: 'string', examples: ['"7"'] },
    }),
  );
