/** Which entries of the list, counted from 1, cannot be the origin of a page; empty where all can. */
export const mistakesInOrigins = (text: string): number[] =>
  entriesOf(text).flatMap((entry, index) => (originOf(entry) === null ? [index + 1] : []));

/** The origins of the list as browsers send them: lower case, Punycode, no default port, no slash at the end. */
export const originsIn = (text: string): string[] => [
  ...new Set(entriesOf(text).flatMap((entry) => originOf(entry) ?? [])),
];

const entriesOf = (text: string): string[] => text.split(/[\s,]+/).filter((entry) => entry !== '');

// RFC 6454: a scheme, a host and a port, and nothing else. `*` and `null` would let in pages that nobody has named.
function originOf(entry: string): string | null {
  if (!/^https?:\/\/[^/?#@*\\]+\/?$/i.test(entry) || !URL.canParse(entry)) return null;
  return new URL(entry).origin;
}
