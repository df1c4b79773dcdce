import type { z } from 'zod';

type RawIssue = z.core.$ZodRawIssue;

/** What is said of a member that is missing. */
export const isRequired = 'is required';

const types: Readonly<Record<string, string>> = {
  int: 'a whole number',
  array: 'a list',
  object: 'an object',
  string: 'text',
  boolean: 'true or false',
};

/** What was wrong with a value, where its schema has no words of its own. Never repeats the value. */
export function inOurWords(issue: RawIssue): string | undefined {
  if (issue.input === undefined && issue.code !== 'custom') return isRequired;
  return ofValue(issue);
}

function ofValue(issue: RawIssue): string | undefined {
  switch (issue.code) {
    case 'invalid_type':
      return `must be ${types[issue.expected] ?? `a ${issue.expected}`}`;
    case 'invalid_value':
      return `must be ${issue.values.length === 1 ? '' : 'one of '}${issue.values.map(String).join(', ')}`;
    case 'too_small':
      return `must ${sizeOf(issue.origin, issue.minimum, ['more than', 'at least'][Number(issue.inclusive ?? true)])}`;
    case 'too_big':
      return `must ${sizeOf(issue.origin, issue.maximum, ['less than', 'at most'][Number(issue.inclusive ?? true)])}`;
    default:
      return undefined;
  }
}

function sizeOf(origin: string, bound: number | bigint, comparison = ''): string {
  const plural = Number(bound) === 1 ? '' : 's';
  if (origin === 'string') return `have ${comparison} ${bound} character${plural}`;
  if (origin === 'array') return `have ${comparison} ${bound} element${plural}`;
  return `be ${comparison} ${bound}`;
}
