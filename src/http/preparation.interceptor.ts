import {
  type CallHandler,
  createParamDecorator,
  type ExecutionContext,
  Injectable,
  type NestInterceptor,
  SetMetadata,
} from '@nestjs/common';
import { Reflector } from '@nestjs/core';
import type { FastifyRequest } from 'fastify';
import { defer, mergeMap, type Observable } from 'rxjs';
import type { z } from 'zod';
import { MisuseError } from '../kernel/loggable-error.ts';

const PREPARATION = Symbol('preparation');

interface Preparation {
  readonly schema: z.ZodType;
  readonly prepare: (body: unknown) => Promise<unknown>;
}

/**
 * What of a route takes a processor long and needs no database, such as hashing a password: done once for a request, of a valid body, and
 * before the boundary of its Idempotency-Key opens. {@link Prepared} is what came of it.
 */
export const Prepares = <S extends z.ZodType>(
  schema: S,
  prepare: (body: z.output<S>) => Promise<unknown>,
): MethodDecorator => SetMetadata(PREPARATION, { schema, prepare });

const prepared = new WeakMap<FastifyRequest, unknown>();

/** Parameter: what {@link Prepares} has made of the body. */
export const Prepared = createParamDecorator((_: unknown, context: ExecutionContext): unknown => {
  const request = context.switchToHttp().getRequest<FastifyRequest>();
  if (!prepared.has(request)) throw new MisuseError('@Prepared() stands on a route that prepares nothing.');
  return prepared.get(request);
});

/** Outside {@link IdempotencyInterceptor}. A body that is refused is left to the pipe that says why; a repeated request prepares in vain. */
@Injectable()
export class PreparationInterceptor implements NestInterceptor {
  constructor(private readonly reflector: Reflector) {}

  intercept(context: ExecutionContext, next: CallHandler): Observable<unknown> {
    const preparation = this.reflector.get<Preparation | undefined>(PREPARATION, context.getHandler());
    if (preparation === undefined) return next.handle();
    const request = context.switchToHttp().getRequest<FastifyRequest>();
    return defer(() => prepareOnce(request, preparation)).pipe(mergeMap(() => next.handle()));
  }
}

async function prepareOnce(request: FastifyRequest, { schema, prepare }: Preparation): Promise<void> {
  const { success, data } = schema.safeParse(request.body);
  prepared.set(request, success ? await prepare(data) : null);
}
