import {
  applyDecorators,
  type CallHandler,
  createParamDecorator,
  type ExecutionContext,
  type NestInterceptor,
} from '@nestjs/common';
import type { FastifyRequest } from 'fastify';
import { defer, mergeMap, type Observable } from 'rxjs';
import type { z } from 'zod';
import { MisuseError } from '../../kernel/loggable-error.ts';
import { outermost } from '../outermost.ts';
import { factsOf, type Preparation, routeFacts } from '../route-facts.ts';

/**
 * What of a route takes a processor long and needs no database, such as hashing a password: done once for a request, of a valid body, and
 * before the boundary of its Idempotency-Key opens. {@link Prepared} is what came of it.
 */
export const Prepares = <S extends z.ZodType>(
  schema: S,
  prepare: (body: z.output<S>) => Promise<unknown>,
): MethodDecorator =>
  applyDecorators(
    routeFacts({ preparation: { schema, prepare: prepare as Preparation['prepare'] } }),
    outermost(preparing),
  );

const prepared = new WeakMap<FastifyRequest, unknown>();

/** Parameter: what {@link Prepares} has made of the body. */
export const Prepared = createParamDecorator((_: unknown, context: ExecutionContext): unknown => {
  const request = context.switchToHttp().getRequest<FastifyRequest>();
  if (!prepared.has(request)) throw new MisuseError('@Prepared() stands on a route that prepares nothing.');
  return prepared.get(request);
});

/** Prepares what a request needs, once: also where its key is asked for first. A body that is refused is left to the pipe that says why. */
export async function prepareOnce(request: FastifyRequest): Promise<void> {
  const { preparation } = factsOf(request);
  if (preparation === undefined || prepared.has(request)) return;
  const { success, data } = preparation.schema.safeParse(request.body);
  prepared.set(request, success ? await preparation.prepare(data) : null);
}

/** A repeated request prepares in vain. */
const preparing: NestInterceptor = {
  intercept(context: ExecutionContext, next: CallHandler): Observable<unknown> {
    const request = context.switchToHttp().getRequest<FastifyRequest>();
    return defer(() => prepareOnce(request)).pipe(mergeMap(() => next.handle()));
  },
};
