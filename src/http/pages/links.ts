import type { Cursors } from './cursors.ts';

/** What is looked at of a body to tell whether it is a page. */
export interface PageBody {
  readonly object?: unknown;
  readonly nextCursor?: string | null;
}

/** The cursor of a page as it goes out, and `Link` (RFC 8288), which says where the next page and the first one are. */
export function sealed(
  cursor: string | null,
  url: string,
  cursors: Cursors,
): { nextCursor: string | null; link: string } {
  const nextCursor = cursor === null ? null : cursors.seal(cursor);
  return { nextCursor, link: linksOf(url, nextCursor) };
}

/** The same list with the same filter and limit: its next page, unless this is the last one, and its first. */
function linksOf(url: string, nextCursor: string | null): string {
  const [path = '', query = ''] = url.split('?');
  const parameters = new URLSearchParams(query);
  parameters.delete('cursor');
  const first = `<${path}${parameters.size > 0 ? `?${parameters}` : ''}>; rel="first"`;
  if (nextCursor === null) return first;
  parameters.set('cursor', nextCursor);
  return `<${path}?${parameters}>; rel="next", ${first}`;
}
