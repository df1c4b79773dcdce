import { createHash } from 'node:crypto';
import { z } from 'zod';
import type { ProblemError } from '../../kernel/problem.ts';
import { httpProblems } from '../problems/http.problems.ts';
import { wholeIn } from '../schemas.ts';
import { AnswerSize, largestPage as largestSize, sizeOf } from './answer-size.ts';

const largestPage = 100;
/** The longest cursor, as it crosses the wire. */
export const longestCursor = 500;

/** The members every list takes. Spread into the list's own query: `z.strictObject({ ...pageQuery, status })`. */
export const pageQuery = {
  limit: wholeIn(1, largestPage)
    .default(20)
    .meta({ description: 'How many at most, 1 to 100; 20 unless said. Large things make shorter pages' }),
  cursor: z
    .string()
    .max(longestCursor)
    .optional()
    .meta({ description: 'nextCursor of the page before; valid for the same filter only' }),
};

/** A page of a list: the view of one thing, many times. */
export const pageOf = <V extends z.ZodType>(view: V) =>
  z.object({
    object: z.literal('list').default('list'),
    data: z.array(view).meta({ description: 'The things of this page' }),
    hasMore: z.boolean().meta({ description: 'Whether there is a next page', examples: [false] }),
    nextCursor: z
      .string()
      .nullable()
      .meta({ description: 'Pass it as cursor for the next page; null on the last', examples: [null] }),
  });

/** What a repository needs for one page: where the page before ended (null: at the start) and how many rows to read, one more than are shown. */
export interface Slice<Key> {
  readonly after: Key | null;
  readonly take: number;
}

interface PageRequest {
  readonly limit: number;
  readonly cursor?: string | undefined;
  /** The user id of whoever reads, or `everybody` where all may see the same. */
  readonly reader: string;
  readonly [filter: string]: unknown;
}

/**
 * Reads one page by keyset. `list` names the list with its order; the cursor is bound to it and to all that the query holds beside limit and
 * cursor: every filter, the reader, and the thing whose list it is. Elsewhere, and for somebody else, it is refused (400 `malformed-cursor`).
 * `key` is the shape of the sort key, `keyOf` gives that of a row. The cursor is plain in here: `cursors.ts` seals it on its way out. A page
 * ends early where its rows are larger than an answer may be (`answer-size.ts`); it has one row at least.
 */
export async function page<Row, Key>(
  list: string,
  query: PageRequest,
  key: z.ZodType<Key>,
  read: (slice: Slice<Key>) => Promise<Row[]>,
  keyOf: (row: Row) => Key,
) {
  const { limit, cursor, ...filter } = query;
  const binding = bindingOf(list, filter);
  const after = cursor === undefined ? null : readCursor(cursor, binding, key);
  const cursorOf = (row: Row): string => writeCursor(binding, keyOf(row));
  const follow = (row: Row, take: number) => read({ after: readCursor(cursorOf(row), binding, key), take });
  const { data, hasMore } = await readThatFits(limit, (take) => read({ after, take }), follow);
  const last = data.at(-1);
  return { data, hasMore, nextCursor: hasMore && last !== undefined ? cursorOf(last) : null };
}

/** Rows that may hold lists are read so many at a time, so that what is read beyond the size of an answer has a bound as well. */
const mostAtOnce = 26;

async function readThatFits<Row>(
  limit: number,
  begin: (take: number) => Promise<Row[]>,
  follow: (last: Row, take: number) => Promise<Row[]>,
): Promise<{ data: Row[]; hasMore: boolean }> {
  const size = new AnswerSize(largestSize);
  const data: Row[] = [];
  let take = Math.min(limit + 1, mostAtOnce);
  let rows = await begin(take);
  for (;;) {
    const fitting = rows.slice(0, limit - data.length).filter(fitIn(size));
    data.push(...fitting);
    if (fitting.length < rows.length) return { data, hasMore: true };
    const last = data.at(-1);
    if (rows.length < take || last === undefined) return { data, hasMore: false };
    const rest = limit + 1 - data.length;
    take = data.some(holdsLists) ? Math.min(rest, mostAtOnce) : rest;
    rows = await follow(last, take);
  }
}

/** Whether a row and all before it fit. */
function fitIn(size: AnswerSize): (row: unknown) => boolean {
  let fits = true;
  return (row) => (fits = fits && size.takes(sizeOf(row)));
}

// What holds none is no larger than its columns.
const holdsLists = (row: unknown): boolean =>
  typeof row === 'object' && row !== null && Object.values(row).some((value) => Array.isArray(value));

/** What the cursors of a list with this filter and reader have in common, and no others. */
export const bindingOf = (list: string, filter: object): string =>
  createHash('sha256')
    .update(JSON.stringify([list, filter]))
    .digest('base64url')
    .slice(0, 11);

export const writeCursor = (binding: string, key: unknown): string => JSON.stringify([binding, key]);

export const malformedCursor = (): ProblemError =>
  httpProblems.malformedCursor('The cursor is not one of this list with this filter.');

/** The key in a cursor of this binding. Throws malformed-cursor. */
export function readCursor<Key>(cursor: string, binding: string, key: z.ZodType<Key>): Key {
  let parsed: unknown;
  try {
    parsed = JSON.parse(cursor);
  } catch {
    throw malformedCursor();
  }
  const result = z.tuple([z.literal(binding), key]).safeParse(parsed);
  if (!result.success) throw malformedCursor();
  return result.data[1];
}
