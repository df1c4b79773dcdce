import {
  Body as NestBody,
  Param as NestParam,
  type PipeTransform,
  Query as NestQuery,
  StandardSchemaValidationPipe,
} from '@nestjs/common';
import type { z } from 'zod';
import { type ErrorPlace, invalid, notFound } from '../kernel/errors.ts';
import { CursorPipe } from './cursors.ts';

type Issue = z.core.$ZodIssue;

// A body of a hundred kilobytes may be wrong in thirty thousand places.
const mostErrors = 100;

// A schema is required here, because Nest's own decorators let a value through unseen when none is given.

/** The JSON body, as the schema makes it. Wrong input: 422 with a JSON pointer for each place. */
export const Body = (schema: z.ZodType): ParameterDecorator =>
  NestBody({
    schema,
    pipes: [absentIsEmpty, new StandardSchemaValidationPipe({ exceptionFactory: refusing(pointerPlace) })],
  });

// A request without a body says nothing: what is required is then missing, and what is optional is not there.
const absentIsEmpty: PipeTransform = { transform: (body: unknown) => (body === undefined ? {} : body) };

/** The query string, as the schema makes it, with the cursor opened. Wrong input: 422 with the name of each parameter. */
export const Query = (schema: z.ZodType): ParameterDecorator =>
  NestQuery({
    schema,
    pipes: [CursorPipe, new StandardSchemaValidationPipe({ exceptionFactory: refusing(parameterPlace) })],
  });

/** One part of the path. What cannot be an id names nothing that exists: 404. */
export const Param = (name: string, schema: z.ZodType): ParameterDecorator =>
  NestParam(name, {
    schema,
    pipes: [
      new StandardSchemaValidationPipe({ exceptionFactory: () => notFound('not-found', 'There is no such thing.') }),
    ],
  });

type Place = (path: readonly PropertyKey[]) => Pick<ErrorPlace, 'pointer' | 'parameter'>;

const pointerPlace: Place = (path) => ({
  pointer: path.map((part) => `/${String(part).replaceAll('~', '~0').replaceAll('/', '~1')}`).join(''),
});
const parameterPlace: Place = (path) => ({ parameter: path.map(String).join('.') });

const refusing = (place: Place) => (issues: readonly unknown[]) =>
  invalid('validation-failed', 'The input does not have the required form.', {
    errors: onePerPlace((issues as readonly Issue[]).flatMap((issue) => errorsOf(issue, place))).slice(0, mostErrors),
  });

const onePerPlace = (errors: readonly ErrorPlace[]): ErrorPlace[] => [
  ...new Map(errors.map((error) => [error.pointer ?? error.parameter, error])).values(),
];

function errorsOf(issue: Issue, place: Place): ErrorPlace[] {
  if (issue.code === 'unrecognized_keys')
    return issue.keys.map((key) => ({
      ...place([...issue.path, key]),
      code: 'unknown-member',
      detail: 'is not known here',
    }));
  return [{ ...place(issue.path), code: issue.code.replaceAll('_', '-'), detail: issue.message }];
}
