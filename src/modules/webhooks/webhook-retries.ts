import { pauseFrom } from '../../kernel/retry-pauses.ts';

const [second, minute, hour] = [1000, 60_000, 3_600_000];
// All of them together are more than the three days after which an endpoint is disabled.
const pausesMs = [5 * second, 5 * minute, 30 * minute, 2 * hour, 5 * hour, 10 * hour, 14 * hour, 20 * hour, 24 * hour];

/** For how long all attempts at an endpoint fail before it is disabled. */
export const failingHours = 72;

/** How long to wait after so many attempts, milliseconds; null when that was the last one. */
export const pauseAfter = (tries: number): number | null => pauseFrom(pausesMs, tries);
