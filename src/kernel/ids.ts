import { randomUUIDv7 } from 'node:crypto';
import { MisuseError } from './loggable-error.ts';

/**
 * The prefixes that ids may carry on the wire, each with the thing it names. Every module adds those it has defined by `declare module`, as
 * plugins of Fastify add to its interfaces: any view may show an id of another module, and a misspelt prefix does not compile.
 */
export interface IdKinds extends Record<never, string> {}
export type Prefix = keyof IdKinds;

// Like the registry of zod: what is defined is known for as long as the process lives.
const things = new Map<string, string>();

/**
 * Defines the kinds of ids that a module has: the prefix, and the thing in words. Throws when the prefix is defined already, or is not made of
 * small letters.
 */
export function defineIdKinds<const Kinds extends Readonly<Record<string, string>>>(kinds: Kinds): Kinds {
  for (const [prefix, thing] of Object.entries(kinds)) {
    if (!/^[a-z]{2,16}$/.test(prefix))
      throw new MisuseError(`${prefix} is no prefix of ids: two to sixteen small letters.`);
    if (things.has(prefix))
      throw new MisuseError(`The prefix ${prefix} is defined twice: for ${things.get(prefix)} and for ${thing}.`);
    things.set(prefix, thing);
  }
  return kinds;
}

/** What an id with this prefix names, in words. Throws when no module that was loaded defines it. */
export function thingOf(prefix: Prefix): string {
  const thing = things.get(prefix);
  if (thing === undefined) throw new MisuseError(`No module that was loaded defines ids with the prefix ${prefix}.`);
  return thing;
}

// Of the newest id: its millisecond as it is written in front, whose order is that of the text, and which id of that millisecond it is.
let newest = '';
let count = 0;

/**
 * A new UUIDv7 (RFC 9562, section 6.2, method 1): ids are made here, before the row exists, and sort in the order in which this process made
 * them. Node's own have no order within a millisecond, in which a product gets all its SKUs.
 */
export function newId(): string {
  const random = randomUUIDv7();
  const now = random.slice(0, 13);
  count = now > newest ? 0 : (count + 1) & 0xfff;
  if (now > newest) newest = now;
  else if (count === 0) newest = millisecondAfter(newest);
  return `${newest}-${(0x7000 | count).toString(16)}${random.slice(18)}`;
}

/** Of a millisecond that has all its 4096 ids the next one is taken, before the clock is there. */
function millisecondAfter(time: string): string {
  const next = (Number.parseInt(time.replace('-', ''), 16) + 1).toString(16).padStart(12, '0');
  return `${next.slice(0, 8)}-${next.slice(8)}`;
}

/** The moment that a UUIDv7 holds: its first 48 bits, in milliseconds since 1970 (RFC 9562, section 5.7). */
export const timeOfId = (uuid: string): Date => new Date(Number.parseInt(uuid.slice(0, 8) + uuid.slice(9, 13), 16));

// Crockford's base32 in lower case, as TypeID 0.3 (github.com/jetify-com/typeid) writes a UUID: 26 characters, the first at most '7'.
const alphabet = '0123456789abcdefghjkmnpqrstvwxyz';
const base32 = tablesOf(alphabet);
const base16 = tablesOf('0123456789abcdef');

const noDigit = 0xff;

/** The code of each digit by its value, and the value of each digit by its code. */
function tablesOf(digits: string): { readonly codes: Uint8Array; readonly values: Uint8Array } {
  const codes = Buffer.from(digits);
  const values = new Uint8Array(0x100).fill(0xff);
  for (const [value, code] of codes.entries()) values[code] = value;
  return { codes, values };
}

// Filled digit by digit and read as text at once: a text that is put together of many is copied once more where it is sent.
const shownDigits = Buffer.alloc(26);
const uuidDigits = Buffer.from('00000000-0000-0000-0000-000000000000');
const uuidPlaces = [...uuidDigits.keys()].filter((at) => uuidDigits[at] !== 0x2d);

/** `018f…` becomes `ord_01h…`: the id as it crosses the wire. Throws for what is no UUID. */
export function showId(prefix: Prefix, uuid: string): string {
  // Two bits in front: 26 digits of five bits are 130.
  let [bits, held, written] = [0, 2, 0];
  for (const at of uuidPlaces) {
    const digit = base16.values[uuid.charCodeAt(at)] ?? noDigit;
    if (digit === noDigit) throw new MisuseError('An id that is shown must be a UUID in lower case.');
    bits = ((bits & 31) << 4) | digit;
    held += 4;
    if (held < 5) continue;
    held -= 5;
    shownDigits[written++] = base32.codes[(bits >> held) & 31] ?? 0;
  }
  return `${prefix}_${shownDigits.toString('latin1')}`;
}

/** The pattern of a shown id, for schemas and documentation. */
export const idPattern = (prefix: Prefix): RegExp => new RegExp(`^${prefix}_[0-7][${alphabet}]{25}$`);

/** The UUID behind a shown id that matches {@link idPattern}. */
export function readId(shown: string): string {
  // Without the two bits in front, which are nothing.
  let [bits, held, written] = [0, -2, 0];
  for (let at = shown.indexOf('_') + 1; at < shown.length; at++) {
    bits = ((bits & 15) << 5) | (base32.values[shown.charCodeAt(at)] ?? 0);
    for (held += 5; held >= 4; held -= 4)
      uuidDigits[uuidPlaces[written++] ?? 0] = base16.codes[(bits >> (held - 4)) & 15] ?? 0;
  }
  return uuidDigits.toString('latin1');
}
