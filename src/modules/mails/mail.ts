import { pauseFrom } from '../../kernel/retry-pauses.ts';

/** A mail that this instance sends, and nobody else while the lease lasts. */
export interface LeasedMail {
  readonly id: string;
  readonly lease: string;
  readonly kind: string;
  readonly userId: string;
  readonly data: Record<string, unknown>;
  /** With this one. */
  readonly attempts: number;
  readonly createdAt: Date;
}

/** What sending has come to. */
export interface MailOutcome {
  /** By what name it has failed; null where it has not. */
  readonly error: string | null;
  /** It would fail again. */
  readonly isFinal: boolean;
}

export const sent: MailOutcome = { error: null, isFinal: false };
export const failedForGood = (error: string): MailOutcome => ({ error, isFinal: true });
export const failed = (error: string): MailOutcome => ({ error, isFinal: false });

const [second, minute, hour] = [1000, 60_000, 3_600_000];
// Servers that put strangers off expect them again after some minutes. Two days in all.
const pausesMs = [10 * second, minute, 5 * minute, 15 * minute, hour, 3 * hour, 8 * hour, 12 * hour, 24 * hour];

/** Whether it was taken on so often that whoever did must have died of it each time. */
export const isSpent = ({ attempts }: LeasedMail): boolean => attempts > pausesMs.length + 1;

/** When it is tried again, milliseconds; null where it is not. */
export const pauseAfter = ({ attempts }: LeasedMail, { isFinal }: MailOutcome): number | null =>
  isFinal ? null : pauseFrom(pausesMs, attempts);
