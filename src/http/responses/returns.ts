import { applyDecorators, HttpCode } from '@nestjs/common';
import { ApiResponse } from '@nestjs/swagger';
import { z } from 'zod';
import { relationsOf } from '../expansion/expandable.ts';
import { ExpansionInterceptor } from '../expansion/expansion.interceptor.ts';
import { headerRef } from '../openapi/openapi-headers.ts';
import { outermost } from '../outermost.ts';
import { type OtherStatus, routeFacts } from '../route-facts.ts';

type View = z.ZodObject;

/** Answers with this status, cuts the body to the view and documents both. A view with a `version` is answered with its ETag. */
export const Returns = (status: number, view: View, location?: string): MethodDecorator =>
  applyDecorators(
    HttpCode(status),
    routeFacts({ answersSecrets: holdsSecrets(view), answer: { view, location: location ?? null } }),
    ...(relationsOf(view).length > 0 ? [outermost(ExpansionInterceptor)] : []),
    ApiResponse({
      status,
      standardSchema: view,
      description: view.meta()?.description ?? 'Done',
      ...headersOf(view, location),
    }),
  );

// Compressed beside what a caller chooses, they could be guessed by the length of the answer (BREACH).
// By the names of the members alone: what is said of them is known when all modules are loaded.
const holdsSecrets = (view: View): boolean =>
  /"\w*(?:token|secret|password|apiKey)"/i.test(
    JSON.stringify(z.toJSONSchema(view, { unrepresentable: 'any', metadata: z.registry() })),
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
    routeFacts({ otherStatus: { status, isSo: isSo as OtherStatus['isSo'] } }),
    ApiResponse({ status, standardSchema: view, description: view.meta()?.description ?? 'Done' }),
  );

/** 204 without a body. */
export const ReturnsNothing = (): MethodDecorator =>
  applyDecorators(HttpCode(204), ApiResponse({ status: 204, description: 'Done' }));

function headersOf(view: View, location?: string) {
  return {
    headers: {
      ...('version' in view.shape && { ETag: headerRef('ETag') }),
      ...(location !== undefined && { Location: headerRef('Location') }),
    },
  };
}
