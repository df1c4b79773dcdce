const [second, minute, hour] = [1000, 60_000, 3_600_000];
const pausesMs = [5 * second, 5 * minute, 30 * minute, 2 * hour, 5 * hour, 10 * hour, 14 * hour, 20 * hour, 24 * hour];
// Lengthened, never shortened: all of them together are more than the three days after which an endpoint is disabled.
const jitter = 0.1;

/** For how long all attempts at an endpoint fail before it is disabled. */
export const failingHours = 72;

/** How long to wait after so many attempts, milliseconds; null when that was the last one. */
export function pauseAfter(tries: number): number | null {
  const pauseMs = pausesMs[tries - 1];
  return pauseMs === undefined ? null : Math.round(pauseMs * (1 + Math.random() * jitter));
}
