import { z } from 'zod';
import { isCurrency } from '../kernel/currencies.ts';
import { idPattern, type Prefix, readId, showId, thingOf } from '../kernel/ids.ts';
import { showInstant } from '../kernel/instants.ts';
import { largestAmount } from '../kernel/money.ts';

// PostgreSQL's text cannot hold NUL, and a lone surrogate is not Unicode: both are refused at the door.
const isText = (value: string): boolean => value.isWellFormed() && !value.includes('\0');

const asText = { error: 'must be well-formed text without NUL', abort: true } as const;

/** Text of up to so many UTF-16 code units. */
export const text = (most: number, least = 0) => z.string().min(least).max(most).refine(isText, asText);

// Nobody sees them: what is left of a name without them may be another's, or nothing. Joiners, marks of direction and selectors of a variant
// belong to some scripts and to emoji.
const hidden =
  /(?!\p{Variation_Selector}|[\u061c\u200c-\u200f])[\p{Default_Ignorable_Code_Point}\u2800]|[\p{Cc}\p{Zl}\p{Zp}\p{Noncharacter_Code_Point}\ufff9-\ufffb]/u;
const seen = /[\p{L}\p{N}\p{P}\p{S}]/u;
const bidi = /[\u202a-\u202e\u2066-\u2069]/u;
const isName = (value: string): boolean => seen.test(value) && !hidden.test(value) && !bidi.test(value);

/**
 * A name of one line, as others see it: composed (NFC), without blanks around it, with something to be seen, and without what cannot be seen or
 * turns the direction of the text around it (UAX #9, UTS #39).
 */
export const name = (most: number) =>
  z
    .string()
    .max(most)
    .refine(isText, asText)
    .normalize('NFC')
    .trim()
    .min(1)
    .refine(isName, { error: 'must be a name of one line that can be seen, without control characters', abort: true });

// Control characters but the tab and the end of a line.
const control = /(?![\t\n\r])\p{Cc}/u;

/** What somebody writes for others, in several lines where it must be: without control characters, and what turns its direction is turned back. */
export const prose = (most: number) =>
  text(most)
    .refine((value) => !control.test(value), { error: 'must not hold control characters', abort: true })
    .refine(isTurnedBack, { error: 'must end each change of direction that it begins', abort: true });

/** Whether each embedding, override and isolate is closed in its paragraph (UAX #9, BD9 and BD11), and none is left over. */
function isTurnedBack(value: string): boolean {
  return value.split(/[\n\r\u2029]/).every((paragraph) => {
    const open: string[] = [];
    for (const [sign] of paragraph.matchAll(new RegExp(bidi, 'gu'))) {
      const closes = { '\u202c': 'embedding', '\u2069': 'isolate' }[sign];
      if (closes === undefined) open.push(sign < '\u2066' ? 'embedding' : 'isolate');
      else if (open.pop() !== closes) return false;
    }
    return open.length === 0;
  });
}

/** An address on the web, kept as it was written. */
export const webAddress = (most: number) =>
  z
    .url({ protocol: /^https?$/ })
    .max(most)
    .refine(isText, asText);

const digits = /^(?:0|[1-9]\d{0,15})$/;

/** A whole number of a query, in digits alone: no sign, fraction, exponent, other base, blank or leading zero. */
export const wholeIn = (least: number, most: number) =>
  z.preprocess(
    (given) => (typeof given === 'string' && digits.test(given) ? Number(given) : given),
    z.int('must be a whole number, in digits alone').min(least).max(most),
  );

interface Said {
  readonly description?: string;
  readonly examples?: string[];
}

/** An id that comes in: `ord_01h…` on the wire, a UUID behind it. */
export const idIn = (prefix: Prefix, said: Said = {}) =>
  z
    .string()
    .regex(idPattern(prefix), { error: () => `must be the id of ${one(prefix)}: ${prefix}_ and 26 characters` })
    .meta(describeId(prefix, said))
    .transform(readId);

/** An id that goes out: a UUID in the database, `ord_01h…` on the wire. */
export const idOut = (prefix: Prefix) =>
  z
    .uuid()
    .transform((uuid) => showId(prefix, uuid))
    .pipe(z.string().regex(idPattern(prefix)).meta(describeId(prefix)));

// Asked for when it is read: the module that defines the prefix may be loaded after a view that shows its ids.
const describeId = (prefix: Prefix, said: Said = {}) => ({
  get description() {
    return said.description ?? `Id of ${one(prefix)}`;
  },
  examples: said.examples ?? [exampleId(prefix)],
});

const one = (prefix: Prefix): string => `${/^[aeio]/.test(thingOf(prefix)) ? 'an' : 'a'} ${thingOf(prefix)}`;
const exampleId = (prefix: Prefix): string => showId(prefix, '01890a5d-ac96-774b-bcce-b302099a8057');

// Any of ISO 4217: which of them the shop deals in is its configuration, and no part of the document.
export const CurrencyCode = z
  .string()
  .regex(/^[A-Z]{3}$/)
  .refine(isCurrency, 'must be a currency of ISO 4217 with a minor unit')
  .meta({ id: 'Currency', description: 'Currency, ISO 4217', examples: ['EUR'] });

const minorUnits = (least: number) =>
  z
    .int()
    .min(least)
    .max(Number(largestAmount))
    .meta({ description: 'Minor units of the currency (1299 EUR are 12.99 €; JPY has none)', examples: [1299] });

/** Money that comes in: more than zero. */
export const MoneyIn = z.strictObject({ amount: minorUnits(1).transform(BigInt), currency: CurrencyCode }).meta({
  id: 'PositiveMoney',
  description: 'More than nothing of one currency',
  examples: [{ amount: 1299, currency: 'EUR' }],
});

/** Money that comes in and may be nothing: a limit. */
export const MoneyFromZero = z
  .strictObject({
    amount: z
      .int()
      .min(0)
      .max(Number(largestAmount))
      .meta({ description: 'Minor units of the currency', examples: [50_000] })
      .transform(BigInt),
    currency: CurrencyCode,
  })
  .meta({
    id: 'MoneyFromZero',
    description: 'Nothing or more of one currency',
    examples: [{ amount: 50_000, currency: 'EUR' }],
  });

/** Money that goes out; an amount beyond 2^53 - 1 is a broken promise, not a rounded number. */
export const MoneyOut = z
  .object({
    amount: z
      .bigint()
      .min(-largestAmount)
      .max(largestAmount)
      .transform(Number)
      .pipe(minorUnits(-Number(largestAmount))),
    currency: z.string().pipe(CurrencyCode),
  })
  .meta({ id: 'Money', description: 'An amount of one currency', examples: [{ amount: 1299, currency: 'EUR' }] });

/** A moment that goes out: RFC 3339 in UTC. */
export const instant = z
  .date()
  .transform(showInstant)
  .pipe(z.iso.datetime().meta({ description: 'RFC 3339, UTC', examples: ['2026-11-21T09:30:00.000Z'] }));

// What RFC 3339 writes with four digits of a year, and PostgreSQL and JavaScript both hold: there is no year 0 there.
const [leastMoment, largestMoment] = [Date.parse('0001-01-01T00:00:00.000Z'), Date.parse('9999-12-31T23:59:59.999Z')];

/** A moment that comes in: RFC 3339 with any offset. What results is compared with the bounds, not its spelling. */
export const momentSaid = (said: Said) =>
  z.iso
    .datetime({ offset: true })
    .max(40)
    .meta({ ...said })
    .transform((text) => new Date(text))
    .refine(
      (date) => date.getTime() >= leastMoment && date.getTime() <= largestMoment,
      'must be in the years 1 to 9999, UTC',
    );

/** The same in a query, which describes its parameters itself. */
export const momentIn = momentSaid({});

/** Members that may be left out on the way in, as they go out: always there, null when nothing was said. */
export const alwaysPresent = <Shape extends z.ZodRawShape>(shape: Shape) => z.object(shape).required().shape;

/** A place of the input that was refused. A code may bring members of its own: how much there is, what was asked for. */
export const RefusedPlace = z
  .looseObject({
    pointer: z
      .string()
      .optional()
      .meta({ description: 'JSON pointer into the body', examples: ['/amount/amount'] }),
    parameter: z
      .string()
      .optional()
      .meta({ description: 'Name of a query parameter', examples: ['limit'] }),
    code: z.string().meta({ description: 'What is wrong there; stable', examples: ['too-small'] }),
    detail: z
      .string()
      .optional()
      .meta({ description: 'For people', examples: ['must be more than 0'] }),
  })
  .meta({ id: 'RefusedPlace', description: 'A place of the input that was refused' });
