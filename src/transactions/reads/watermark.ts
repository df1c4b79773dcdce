import { MisuseError } from '../../kernel/loggable-error.ts';
/** A position in the write-ahead log, in bytes since its beginning: what PostgreSQL prints as `16/B374D848` (PostgreSQL 18, 8.20). */
export type Lsn = bigint;

/** Writes that did not tell their position; it is found out for all of them at once, when somebody has to know (see PrimaryPosition). */
export interface Untold {
  /** Of two, the one with the higher number ended later. */
  readonly number: number;
  lsn: Lsn | null;
}

/** Up to where the log must be replayed for a read to see what it must see. */
export interface Watermark {
  readonly lsn: Lsn;
  readonly untold: Untold | null;
}

/** Nothing has to be seen. */
export const lowest: Watermark = { lsn: 0n, untold: null };

export const isLowest = ({ lsn, untold }: Watermark): boolean => lsn === 0n && untold === null;

/** The watermark that holds whatever either of them holds. */
export const higher = (one: Watermark, other: Watermark): Watermark => ({
  lsn: highest(one.lsn, other.lsn, one.untold?.lsn ?? 0n, other.untold?.lsn ?? 0n),
  untold: later(stillUntold(one), stillUntold(other)),
});

/** Its position; null while that of its untold writes is not known. */
export const lsnOf = ({ lsn, untold }: Watermark): Lsn | null =>
  untold === null ? lsn : untold.lsn && highest(lsn, untold.lsn);

const highest = (...lsns: Lsn[]): Lsn => lsns.reduce((one, other) => (one > other ? one : other));
const stillUntold = ({ untold }: Watermark): Untold | null => (untold?.lsn === null ? untold : null);
const later = (one: Untold | null, other: Untold | null): Untold | null =>
  (one?.number ?? 0) > (other?.number ?? 0) ? one : other;

const printed = /^([0-9A-F]{1,8})\/([0-9A-F]{1,8})$/i;

/** Reads what PostgreSQL has printed. Two 32-bit halves: compared as text or halves, 9/0 would come after 10/0. Throws TypeError. */
export function parseLsn(text: string): Lsn {
  const [, high, low] = printed.exec(text) ?? [];
  if (high === undefined || low === undefined) throw new MisuseError('This is no position in the write-ahead log.');
  return (BigInt(`0x${high}`) << 32n) | BigInt(`0x${low}`);
}
