import { createHash } from 'node:crypto';
import { z } from 'zod';
import { HttpProblem } from './problem.ts';

const largestPage = 100;
/** The longest cursor, as it crosses the wire. */
export const longestCursor = 500;

/** The members every list takes. Spread into the list's own query: `z.strictObject({ ...pageQuery, status })`. */
export const pageQuery = {
  limit: z.coerce
    .number()
    .int()
    .min(1)
    .max(largestPage)
    .default(20)
    .meta({ description: 'How many at most, 1 to 100' }),
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
  readonly [filter: string]: unknown;
}

/**
 * Reads one page by keyset. `list` names the list with its order; the cursor is bound to it and to all that the query holds beside limit and
 * cursor: every filter, and the owner, whom the caller adds where a list is somebody's. Elsewhere it is refused (400 `malformed-cursor`).
 * `key` is the shape of the sort key, `keyOf` gives that of a row. The cursor is plain in here: `cursors.ts` seals it on its way out.
 */
export async function page<Row, Key>(
  list: string,
  query: PageRequest,
  key: z.ZodType<Key>,
  read: (slice: Slice<Key>) => Promise<Row[]>,
  keyOf: (row: Row) => Key,
) {
  const { limit, cursor, ...filter } = query;
  const binding = createHash('sha256')
    .update(JSON.stringify([list, filter]))
    .digest('base64url')
    .slice(0, 11);
  const after = cursor === undefined ? null : readCursor(cursor, binding, key);
  const rows = await read({ after, take: limit + 1 });
  const data = rows.slice(0, limit);
  const last = data.at(-1);
  const hasMore = rows.length > limit;
  return { data, hasMore, nextCursor: hasMore && last !== undefined ? writeCursor(binding, keyOf(last)) : null };
}

const writeCursor = (binding: string, key: unknown): string => JSON.stringify([binding, key]);

export const malformedCursor = (): HttpProblem =>
  new HttpProblem(400, 'malformed-cursor', 'The cursor is not one of this list with this filter.');

function readCursor<Key>(cursor: string, binding: string, key: z.ZodType<Key>): Key {
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
