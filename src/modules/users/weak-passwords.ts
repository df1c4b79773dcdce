import { dictionary } from '@zxcvbn-ts/language-common';
import { invalid } from '../../kernel/errors.ts';

/** Whose password it is to be: what others know of a person they try first. */
export interface Owner {
  readonly email: string;
  readonly displayName: string;
}

const product = 'Holdfast';
// The leaked passwords that are used most, some fifty thousand.
const common: ReadonlySet<string> = new Set(dictionary['passwords-common']);
const fewestCharacters = 3;
const fewestOfOnesOwn = 3;

/** Throws weak-password for what is among the first that anybody would try; `pointer` says where in the body it stood. */
export function refuseWeak(password: string, owner: Owner, pointer: string): void {
  const folded = password.toLowerCase();
  const reason = new Map([
    [common.has(folded) || common.has(folded.trim()), 'is one of those that are used most'],
    [new Set(folded).size < fewestCharacters, 'repeats a character or two'],
    [isMadeOf(folded, owner), `is made of the name, the address or ${product}`],
  ]).get(true);
  if (reason === undefined) return;
  const errors = [{ pointer, code: 'weak-password', detail: reason }];
  throw invalid('weak-password', 'The password is among the first that anybody would try.', { errors });
}

/** Whether next to nothing is left without what is known of the person, digits and signs. */
function isMadeOf(folded: string, { email, displayName }: Owner): boolean {
  const parts = [email, ...email.split(/[@.+_-]/), displayName, ...displayName.split(/\s/), product];
  const known = parts.map(lettersOf).filter((part) => part.length >= fewestOfOnesOwn);
  const rest = known
    .sort((a, b) => b.length - a.length)
    .reduce((left, part) => left.replaceAll(part, ''), lettersOf(folded));
  return rest.length < fewestOfOnesOwn && rest !== lettersOf(folded);
}

const lettersOf = (text: string): string =>
  text
    .normalize('NFKC')
    .toLowerCase()
    .replaceAll(/[^\p{L}]/gu, '');
