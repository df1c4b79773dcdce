import { TextDecoder } from 'node:util';
import type { FastifyInstance, FastifyRequest } from 'fastify';
import { HttpProblem } from './problem.ts';

/** How many arrays and objects of a body may lie in each other. */
export const deepestJson = 32;

/**
 * Reads JSON as Fastify does, which refuses `__proto__` and the like, after a look at it that Fastify does not take: bytes that are no UTF-8,
 * nesting beyond {@link deepestJson} and members that are named twice are refused before anything is made of them.
 */
export function readJson(fastify: FastifyInstance): void {
  const parse = fastify.getDefaultJsonParser('error', 'error');
  const utf8 = new TextDecoder('utf-8', { fatal: true });
  const read = (body: Buffer): string => {
    try {
      return utf8.decode(body);
    } catch {
      throw new HttpProblem(400, 'malformed-json', 'The body is not UTF-8.');
    }
  };
  fastify.addContentTypeParser(
    'application/json',
    { parseAs: 'buffer' },
    (request: FastifyRequest, body: Buffer, done) => {
      let text: string;
      try {
        text = read(body);
        inspect(text);
      } catch (error) {
        return done(error as Error);
      }
      return parse(request, text, done);
    },
  );
}

/** Throws too-deep, and malformed-json where a member is named twice. Leaves to the parser what is no JSON. */
function inspect(text: string): void {
  // For each array or object that is open here: the names of its members so far; null for an array.
  const open: (Set<string> | null)[] = [];
  let mayBeName = false;
  for (const token of tokensOf(text)) {
    if (token === '{') open.push(new Set());
    else if (token === '[') open.push(null);
    else if (token === '}' || token === ']') open.pop();
    else if (mayBeName) demandNew(open.at(-1), token);
    if (open.length > deepestJson)
      throw new HttpProblem(400, 'too-deep', `The body is nested more than ${deepestJson} deep.`);
    mayBeName = token === '{' || (token === ',' && open.at(-1) !== null);
  }
}

/** The strings, as they are written, and the brackets and commas outside them. */
function* tokensOf(text: string): Generator<string> {
  const sign = /["{}[\],]/g;
  for (let found = sign.exec(text); found !== null; found = sign.exec(text)) {
    if (found[0] === '"') sign.lastIndex = endOfString(text, found.index);
    yield found[0] === '"' ? text.slice(found.index, sign.lastIndex) : found[0];
  }
}

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

function demandNew(names: Set<string> | null | undefined, written: string): void {
  const name = written.includes('\\') ? spelledOut(written) : written;
  if (names?.has(name)) throw new HttpProblem(400, 'malformed-json', 'The body names a member twice.');
  names?.add(name);
}

// One name may be written in several ways; what is no string is left for the parser to refuse.
function spelledOut(written: string): string {
  try {
    return JSON.stringify(JSON.parse(written));
  } catch {
    return written;
  }
}
