import { randomUUIDv7 } from 'node:crypto';

/** Every prefix an id may carry on the wire, with the thing it names. */
export const prefixes = {
  usr: 'user',
  ses: 'session',
  chg: 'change',
  acct: 'account',
  tr: 'transfer',
  prd: 'product',
  sku: 'SKU',
  img: 'image',
  ord: 'order',
  pay: 'payment',
  rfd: 'refund',
  req: 'request',
} as const;
export type Prefix = keyof typeof prefixes;

// The newest id's first 60 bits: milliseconds, and below them a count of the ids of that millisecond.
let newest = 0n;

/**
 * A new UUIDv7 (RFC 9562, section 6.2, method 1): ids are made here, before the row exists, and sort in the order in which this process made
 * them. Node's own have no order within a millisecond, in which a product gets all its SKUs.
 */
export function newId(): string {
  const random = randomUUIDv7();
  const now = BigInt(`0x${random.slice(0, 8)}${random.slice(9, 13)}000`);
  newest = now > newest ? now : newest + 1n;
  const counted = newest.toString(16).padStart(15, '0');
  return `${counted.slice(0, 8)}-${counted.slice(8, 12)}-7${counted.slice(12)}${random.slice(18)}`;
}

// Crockford's base32 in lower case, as TypeID 0.3 (github.com/jetify-com/typeid) writes a UUID: 26 characters, the first at most '7'.
const alphabet = '0123456789abcdefghjkmnpqrstvwxyz';
const characters = 26;
const digits = new Map(alphabet.split('').map((character, value) => [character, BigInt(value)]));

/** `018f…` becomes `ord_01h…`: the id as it crosses the wire. */
export function showId(prefix: Prefix, uuid: string): string {
  let rest = BigInt(`0x${uuid.replaceAll('-', '')}`);
  let shown = '';
  for (let i = 0; i < characters; i++) {
    shown = alphabet.charAt(Number(rest & 31n)) + shown;
    rest >>= 5n;
  }
  return `${prefix}_${shown}`;
}

/** The pattern of a shown id, for schemas and documentation. */
export const idPattern = (prefix: Prefix): RegExp => new RegExp(`^${prefix}_[0-7][${alphabet}]{25}$`);

/** The UUID behind a shown id that matches {@link idPattern}. */
export function readId(shown: string): string {
  const encoded = shown.slice(shown.indexOf('_') + 1);
  const value = encoded.split('').reduce((sum, character) => (sum << 5n) | (digits.get(character) ?? 0n), 0n);
  const hex = value.toString(16).padStart(32, '0');
  return [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20)].join('-');
}
