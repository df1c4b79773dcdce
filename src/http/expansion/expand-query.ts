import { z } from 'zod';

/** How the description begins of what is shown only to whoever asks for it by `expand`. */
export const shownWith = (name: string): string => `With \`expand=${name}\``;

/** What `expand` names, separated by commas or one by one. */
export const namesIn = (expand: string | readonly string[]): string[] =>
  [expand].flat().flatMap((names) => names.split(','));

/** What is said of a name that cannot be expanded. */
export const mustBeOf = (names: readonly string[]): string => `must be of: ${names.join(', ')}`;

/**
 * `expand` in the query of a list that shows things in short and can read the rest of them in the same statement. What is found by an id that the
 * answer holds is `expandable` instead.
 */
export const expandQuery = <const Name extends string>(...names: [Name, ...Name[]]) =>
  z
    .preprocess(
      (given, { issues }) => {
        const asked = areNames(given) ? namesIn(given) : undefined;
        if (asked?.every((name) => (names as readonly string[]).includes(name)) !== false)
          return asked && unique(asked);
        issues.push({ code: 'invalid_value', values: names, input: given, message: mustBeOf(names) });
        return z.NEVER;
      },
      z.array(z.enum(names)).max(names.length),
    )
    .optional()
    .meta({
      description: 'What is shown beside the rest, all as of one moment; separated by commas',
      examples: [names],
    });

const areNames = (given: unknown): given is string | readonly string[] =>
  typeof given === 'string' || (Array.isArray(given) && given.every((one) => typeof one === 'string'));
const unique = (names: readonly string[]): string[] => [...new Set(names)];
