import { Body as NestBody, Param as NestParam, type PipeTransform, Query as NestQuery } from '@nestjs/common';
import { z } from 'zod';
import { generalProblems } from '../../kernel/general.problems.ts';
import { type ProblemError, type ErrorPlace } from '../../kernel/problem.ts';
import { CursorPipe } from '../pages/cursors.ts';
import { httpProblems } from '../problems/http.problems.ts';
import { inOurWords, isRequired } from './issue-words.ts';
import { fractionsIn } from './json.ts';
import { type LongList, longListFinder } from './list-lengths.ts';
import { pointerOf } from './pointer.ts';

type Issue = z.core.$ZodIssue;

// A body of a hundred kilobytes may be wrong in thirty thousand places.
const mostErrors = 100;

// A schema is required here, because Nest's own decorators let a value through unseen when none is given.

/** The JSON body, as the schema makes it. Wrong input: 422 with a JSON pointer for each place. */
export const Body = (schema: z.ZodType): ParameterDecorator =>
  NestBody({ schema, pipes: [absentIsEmpty, wholeNumbers, new SchemaPipe(schema, refusing(pointerPlace))] });

// A request without a body says nothing: what is required is then missing, and what is optional is not there.
const absentIsEmpty: PipeTransform = { transform: (body: unknown) => (body === undefined ? {} : body) };

// No body has a number that is not whole; how it is written, only the text knows, of which 10.000000000000000001 is 10 by now.
const wholeNumbers: PipeTransform = {
  transform: (body: unknown) => {
    const fractions = fractionsIn(body);
    if (fractions.length > 0) throw refusedInput(fractions);
    return body;
  },
};

/** The query string, as the schema makes it, with the cursor opened. Wrong input: 422 with the name of each parameter. */
export const Query = (schema: z.ZodType): ParameterDecorator =>
  NestQuery({
    schema,
    // Elsewhere it is a parameter that nobody knows.
    pipes: [...(takesCursor(schema) ? [CursorPipe] : []), new SchemaPipe(schema, refusing(parameterPlace))],
  });

const takesCursor = (schema: z.ZodType): boolean => schema instanceof z.ZodObject && 'cursor' in schema.shape;

/** One part of the path. What cannot be an id names nothing that exists: 404. */
export const Param = (name: string, schema: z.ZodType): ParameterDecorator =>
  NestParam(name, {
    schema,
    pipes: [new SchemaPipe(schema, () => httpProblems.notFound('There is no such thing.'))],
  });

type Refusing = (issues: readonly Issue[]) => ProblemError;

/** Nest's own pipe for schemas first removes `__proto__` and its like from the value, so that they would pass for known. */
class SchemaPipe implements PipeTransform {
  private readonly longListIn: (value: unknown) => LongList | null;
  private isAsync = false;

  constructor(
    private readonly schema: z.ZodType,
    private readonly refusal: Refusing,
  ) {
    this.longListIn = longListFinder(schema);
  }

  transform(value: unknown): unknown {
    const long = this.longListIn(value);
    if (long !== null) throw long.refusal?.() ?? this.refusal([tooLong(long)]);
    return this.isAsync ? this.parseAsync(value) : this.parse(value);
  }

  private parse(value: unknown): unknown {
    try {
      return this.resultOf(this.schema.safeParse(value, words));
    } catch (error) {
      // The schema asks something that takes time: known from the first value that comes so far.
      if (!(error instanceof z.core.$ZodAsyncError)) throw error;
      this.isAsync = true;
      return this.parseAsync(value);
    }
  }

  private async parseAsync(value: unknown): Promise<unknown> {
    return this.resultOf(await this.schema.safeParseAsync(value, words));
  }

  private resultOf({ success, data, error }: z.ZodSafeParseResult<unknown>): unknown {
    if (!success) throw this.refusal(error.issues);
    return data;
  }
}

const words = { error: inOurWords };

const tooLong = ({ path, most }: LongList): Issue => ({
  code: 'too_big',
  origin: 'array',
  maximum: most,
  path: [...path],
  message: `must have at most ${most} elements`,
});

type Place = (path: readonly PropertyKey[]) => Pick<ErrorPlace, 'pointer' | 'parameter'>;

const pointerPlace: Place = (path) => ({ pointer: pointerOf(path) });
const parameterPlace: Place = (path) => ({ parameter: path.map(String).join('.') });

const refusing =
  (place: Place): Refusing =>
  (issues) =>
    refusedInput(errorsOf(issues, place));

const refusedInput = (errors: readonly ErrorPlace[]): ProblemError =>
  generalProblems.validationFailed('The input does not have the required form.', {
    errors: errors.slice(0, mostErrors),
  });

/** One for each place, up to the most that are shown. */
function errorsOf(issues: readonly Issue[], place: Place): ErrorPlace[] {
  const byPlace = new Map<string | undefined, ErrorPlace>();
  for (const issue of issues) {
    if (byPlace.size >= mostErrors) break;
    for (const error of placesOf(issue, place)) byPlace.set(error.pointer ?? error.parameter, error);
  }
  return [...byPlace.values()];
}

function placesOf(issue: Issue, place: Place): ErrorPlace[] {
  if (issue.code === 'unrecognized_keys')
    return issue.keys
      .slice(0, mostErrors)
      .map((key) => ({ ...place([...issue.path, key]), code: 'unknown-member', detail: 'is not known here' }));
  const code = issue.message === isRequired ? 'required' : issue.code.replaceAll('_', '-');
  return [{ ...place(issue.path), code, detail: issue.message }];
}
