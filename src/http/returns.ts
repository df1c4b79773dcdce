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
import { map, type Observable, tap } from 'rxjs';
import type { z } from 'zod';
import { headerRef } from './openapi-headers.ts';

type View = z.ZodObject;

/** The view that a route answers with. */
export const SHOWN = Symbol('shown');

/** Answers with this status, cuts the body to the view and documents both. A view with a `version` is answered with its ETag. */
export const Returns = (status: number, view: View, location?: string): MethodDecorator =>
  applyDecorators(
    HttpCode(status),
    SetMetadata(SHOWN, view),
    UseInterceptors(new Present(view, location ?? null)),
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
    UseInterceptors(new Marked(status, isSo as (body: unknown) => boolean)),
    ApiResponse({ status, standardSchema: view, description: view.meta()?.description ?? 'Done' }),
  );

class Marked implements NestInterceptor {
  constructor(
    private readonly status: number,
    private readonly isSo: (body: unknown) => boolean,
  ) {}

  intercept(context: ExecutionContext, next: CallHandler): Observable<unknown> {
    const reply = context.switchToHttp().getResponse<FastifyReply>();
    return next.handle().pipe(
      tap((body: unknown) => {
        if (this.isSo(body)) void reply.status(this.status);
      }),
    );
  }
}

/** 204 without a body. */
export const ReturnsNothing = (): MethodDecorator =>
  applyDecorators(HttpCode(204), ApiResponse({ status: 204, description: 'Done' }));

/** What a body looks like outside: only what the view names, in the form it has on the wire. A body that breaks its view is our fault: 500. */
class Present implements NestInterceptor {
  constructor(
    private readonly view: View,
    private readonly location: string | null,
  ) {}

  intercept(context: ExecutionContext, next: CallHandler): Observable<unknown> {
    const reply = context.switchToHttp().getResponse<FastifyReply>();
    return next.handle().pipe(
      map((body: unknown) => {
        const shown = this.view.parse(body) as { id?: string; version?: number };
        if (shown.version !== undefined) void reply.header('etag', `"${shown.version}"`);
        if (this.location !== null) void reply.header('location', `${this.location}/${shown.id}`);
        return shown;
      }),
    );
  }
}

function headersOf(view: View, location?: string) {
  return {
    headers: {
      ...('version' in view.shape && { ETag: headerRef('ETag') }),
      ...(location !== undefined && { Location: headerRef('Location') }),
    },
  };
}
