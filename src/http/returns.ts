import {
  applyDecorators,
  type CallHandler,
  type ExecutionContext,
  HttpCode,
  type NestInterceptor,
  SetMetadata,
  UseInterceptors,
} from '@nestjs/common';
import { ApiResponse } from '@nestjs/swagger';
import type { FastifyReply } from 'fastify';
import { map, type Observable } from 'rxjs';
import type { z } from 'zod';
import { headerRef } from './openapi-headers.ts';

type View = z.ZodObject;

/** Under this key a handler has what it answers with. */
const ANSWER = Symbol('answer');
const OTHER_STATUS = Symbol('other status');

interface Answer {
  readonly view: View;
  readonly location: string | null;
}

interface OtherStatus<Body> {
  readonly status: number;
  readonly isSo: (body: Body) => boolean;
}

/** The view that a route answers with; undefined for one that answers without. */
export const viewOf = (handler: object): View | undefined =>
  (Reflect.getMetadata(ANSWER, handler) as Answer | undefined)?.view;

/** Answers with this status, cuts the body to the view and documents both. A view with a `version` is answered with its ETag. */
export const Returns = (status: number, view: View, location?: string): MethodDecorator =>
  applyDecorators(
    HttpCode(status),
    SetMetadata(ANSWER, { view, location: location ?? null } satisfies Answer),
    UseInterceptors(presentation),
    ApiResponse({
      status,
      standardSchema: view,
      description: view.meta()?.description ?? 'Done',
      ...headersOf(view, location),
    }),
  );

/** 201 with the Location of what was made: `path`, a slash and its id. */
export const ReturnsCreated = (view: View, path: string): MethodDecorator => Returns(201, view, path);

/** Another status of the same route, for bodies that are so. */
export const AlsoReturns = <V extends View>(
  status: number,
  view: V,
  isSo: (body: z.input<V>) => boolean,
): MethodDecorator =>
  applyDecorators(
    SetMetadata(OTHER_STATUS, { status, isSo } satisfies OtherStatus<z.input<V>>),
    ApiResponse({ status, standardSchema: view, description: view.meta()?.description ?? 'Done' }),
  );

/** 204 without a body. */
export const ReturnsNothing = (): MethodDecorator =>
  applyDecorators(HttpCode(204), ApiResponse({ status: 204, description: 'Done' }));

/** What a response is made of. */
export interface Shown {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  /** Undefined where there is none. */
  readonly body: unknown;
}

/**
 * What a route answers when its handler returns this body: only what its view names, in the form it has on the wire. A body that breaks
 * its view is our fault: a ZodError, answered 500.
 */
export function shownAs(handler: object, status: number, body: unknown): Shown {
  const answer = Reflect.getMetadata(ANSWER, handler) as Answer | undefined;
  const other = Reflect.getMetadata(OTHER_STATUS, handler) as OtherStatus<unknown> | undefined;
  const hasOther = other?.isSo(body) === true;
  const shown = answer?.view.parse(body) as { id?: string; version?: number } | undefined;
  return {
    status: hasOther ? other.status : status,
    headers: {
      ...(shown?.version !== undefined && { etag: `"${shown.version}"` }),
      ...(answer?.location != null && { location: `${answer.location}/${shown?.id}` }),
    },
    body: answer === undefined ? body : shown,
  };
}

/** Shows the body of a route as its view has it. */
const presentation: NestInterceptor = {
  intercept(context: ExecutionContext, next: CallHandler): Observable<unknown> {
    const reply = context.switchToHttp().getResponse<FastifyReply>();
    return next.handle().pipe(
      map((value: unknown) => {
        const { status, headers, body } = shownAs(context.getHandler(), reply.statusCode, value);
        void reply.status(status).headers(headers);
        return body;
      }),
    );
  },
};

function headersOf(view: View, location?: string) {
  return {
    headers: {
      ...('version' in view.shape && { ETag: headerRef('ETag') }),
      ...(location !== undefined && { Location: headerRef('Location') }),
    },
  };
}
