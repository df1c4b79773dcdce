/**
 * The time by the one clock that all instances share: the database's. For what has no row to ask, like the end of an access token. Whether a
 * stored moment is over is asked of the database, in the statement that locks or reads the row.
 */
export abstract class Clock {
  abstract now(): Date;
}

export const latest = (moments: readonly Date[]): Date => new Date(Math.max(...moments.map(Number)));
export const later = (from: Date, seconds: number): Date => new Date(from.getTime() + seconds * 1000);
