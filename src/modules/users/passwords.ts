import { randomBytes } from 'node:crypto';
import { availableParallelism } from 'node:os';
import { hash, verify } from '@node-rs/argon2';
import { dictionary } from '@zxcvbn-ts/language-common';
import { text } from '../../http/schemas.ts';
import { HashingQueue } from './hashing-queue.ts';
import { userProblems } from './users.problems.ts';

const fewest = 8;

// A character is a code point, counted after NFKC, in which a password is hashed.
export const Password = text(200)
  .normalize('NFKC')
  .min(fewest)
  .refine((password) => Array.from(password).length >= fewest, { error: `must have at least ${fewest} characters` })
  .max(200)
  .meta({
    description:
      'At least 8 characters, counted after NFKC. Those that are used most are refused, and what is made of the name or the address',
    examples: ['correct horse battery staple'],
  });

declare const isHash: unique symbol;
/** A hash of a password that was looked at: {@link hashNewPassword} alone makes one. */
export type PasswordHash = string & { readonly [isHash]: true };

// OWASP Password Storage Cheat Sheet: argon2id with 19 MiB, 2 passes, 1 lane.
const cost = { memoryCost: 19_456, timeCost: 2, parallelism: 1 } as const;
// Two at most, of libuv's four threads, and a processor is left for everything else.
const queue = new HashingQueue({
  atOnce: Math.max(1, Math.min(2, availableParallelism() - 1)),
  waiting: 64,
  waitMs: 3000,
});
// So that those who sign up, which strangers do without end, leave room for those who log in.
const shareOfNewOnes = 0.5;

/** NFKC (NIST SP 800-63B, section 5.1.1.2): one keyboard sends `ä` as one character, another as two. */
const normalForm = (typed: string): string => typed.normalize('NFKC');

/**
 * argon2id, salted, of a password that somebody chooses. Takes tens of milliseconds of a processor: never inside a boundary. Every way by which a
 * password comes in ends here. `pointer` says where it stood in the body. Throws weak-password, temporary-reduced-capacity.
 */
export async function hashNewPassword(password: string, owner: Owner, pointer = '/password'): Promise<PasswordHash> {
  const normal = normalForm(password);
  refuseWeak(normal, owner, pointer);
  return (await queue.run(() => hash(normal, cost), shareOfNewOnes)) as PasswordHash;
}

/** What came of a look at a password; `better` is a hash to be kept instead, of the form in which it is hashed today. */
export type Checked = { readonly isRight: false } | { readonly isRight: true; readonly better: PasswordHash | null };

/**
 * Whether it is the password. Hashes from before passwords were normalised are of what was typed, so both forms are tried where they differ.
 * All of them always, also for an unknown person (`null`): the time tells nothing but what was typed. Throws temporary-reduced-capacity.
 */
export function checkPassword(passwordHash: string | null, typed: string): Promise<Checked> {
  return queue.run(async () => {
    const stored = passwordHash ?? (await nobody);
    const normal = normalForm(typed);
    const isNormalRight = await verify(stored, normal);
    const isTypedRight = typed !== normal && (await verify(stored, typed));
    if (passwordHash === null || !(isNormalRight || isTypedRight)) return { isRight: false };
    return { isRight: true, better: isNormalRight ? null : ((await hash(normal, cost)) as PasswordHash) };
  });
}

const nobody = hash(randomBytes(24).toString('base64'), cost);

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
function refuseWeak(password: string, owner: Owner, pointer: string): void {
  const folded = password.toLowerCase();
  const reason = new Map([
    [common.has(folded) || common.has(folded.trim()), 'is one of those that are used most'],
    [new Set(folded).size < fewestCharacters, 'repeats a character or two'],
    [isMadeOf(folded, owner), `is made of the name, the address or ${product}`],
  ]).get(true);
  if (reason === undefined) return;
  const errors = [{ pointer, code: 'weak-password', detail: reason }];
  throw userProblems.weakPassword('The password is among the first that anybody would try.', { errors });
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
