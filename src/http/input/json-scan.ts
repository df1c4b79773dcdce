import type { ErrorPlace } from '../../kernel/problem.ts';
import { httpProblems } from '../problems/http.problems.ts';
import { pointerOf } from './pointer.ts';

/** How many arrays and objects of a body may lie in each other. */
const deepestJson = 32;
/** How many values a body may hold; the largest one that any route takes, a batch of 1,000 transfers, has 26,000. */
const mostValues = 32_768;

/** An array or object that is not closed yet. */
interface Open {
  /** Its members so far; null for an array. */
  readonly names: Set<string> | null;
  /** The member, or the index, that is being read. */
  at: string | number;
}

/**
 * Looks at the text of a body before anything is made of it. Throws too-deep, too-many-values, and malformed-json where a member is named
 * twice. Gives the places of numbers that are written with a fraction or an exponent, of which the parser would show the value alone:
 * 10.000000000000000001 is 10 there. Leaves to the parser what is no JSON.
 */
export function inspect(text: string): readonly ErrorPlace[] {
  const scan = new Scan();
  // Strings, the brackets and commas outside them, and `1.` or `1e` where a number has a fraction or an exponent.
  const sign = /["{}[\],]|\d[.eE]/g;
  for (let found = sign.exec(text); found !== null; found = sign.exec(text)) {
    const { index } = found;
    if (found[0] === '"') sign.lastIndex = endOfString(text, index);
    scan.take(found[0] === '"' ? text.slice(index, sign.lastIndex) : found[0]);
  }
  return scan.fractions;
}

class Scan {
  readonly fractions: ErrorPlace[] = [];
  private readonly open: Open[] = [];
  private values = 1;
  private mayBeName = false;

  take(token: string): void {
    if (token.startsWith('"')) this.name(token);
    else if (token.length > 1) this.fraction();
    else this.structure(token);
    this.mayBeName = token === '{' || (token === ',' && this.open.at(-1)?.names !== null);
  }

  private structure(token: string): void {
    if (token !== '}' && token !== ']') this.values++;
    step(this.open, token);
    refuseExcess(this.open.length, this.values);
  }

  private fraction(): void {
    const place = fractionAt(this.open);
    // `1.5e3` is found twice.
    const isNew = this.fractions.at(-1)?.pointer !== place.pointer;
    if (isNew && this.fractions.length < mostFractions) this.fractions.push(place);
  }

  private name(written: string): void {
    const inner = this.open.at(-1);
    if (!this.mayBeName || inner === undefined) return;
    inner.at = written;
    // One name may be written in several ways.
    const name = written.includes('\\') ? JSON.stringify(nameIn(written)) : written;
    if (inner.names?.has(name)) throw httpProblems.malformedJson('The body names a member twice.');
    inner.names?.add(name);
  }
}

function refuseExcess(depth: number, values: number): void {
  if (depth > deepestJson) throw httpProblems.tooDeep(`The body is nested more than ${deepestJson} deep.`);
  if (values > mostValues) throw httpProblems.tooManyValues(`The body holds more than ${mostValues} values.`);
}

function step(open: Open[], token: string): void {
  const inner = open.at(-1);
  if (token === '{') open.push({ names: new Set(), at: '' });
  else if (token === '[') open.push({ names: null, at: 0 });
  else if (token !== ',') open.pop();
  else if (typeof inner?.at === 'number') inner.at++;
}

// As many as are shown.
const mostFractions = 100;

const fractionAt = (open: readonly Open[]): ErrorPlace => ({
  pointer: pointerOf(open.map(({ at }) => (typeof at === 'number' ? at : nameIn(at)))),
  code: 'invalid-type',
  detail: 'must be a whole number, written in digits alone',
});

/** The place behind the closing quotation mark, or the end of the text. */
function endOfString(text: string, start: number): number {
  let end = text.indexOf('"', start + 1);
  while (end >= 0 && isEscaped(text, end)) end = text.indexOf('"', end + 1);
  return end < 0 ? text.length : end + 1;
}

function isEscaped(text: string, at: number): boolean {
  let slashes = 0;
  while (text[at - 1 - slashes] === '\\') slashes++;
  return slashes % 2 === 1;
}

// What is no string is left for the parser to refuse.
function nameIn(written: string): string {
  try {
    return String(JSON.parse(written));
  } catch {
    return written;
  }
}
