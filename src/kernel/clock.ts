/** The time. Injected, so that a test can hold it still or move it. */
export class Clock {
  now(): Date {
    return new Date();
  }
}

export const later = (from: Date, seconds: number): Date => new Date(from.getTime() + seconds * 1000);
