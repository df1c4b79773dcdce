const firstPauseMs = 1000;
const longestPauseMs = 3_600_000;

/** How long to wait after so many attempts, milliseconds: twice as long each time, at most an hour, shortened at random by up to a half. */
export function backoffMs(attempts: number): number {
  const whole = Math.min(longestPauseMs, firstPauseMs * 2 ** Math.min(attempts - 1, 30));
  return Math.round(whole * (1 - Math.random() / 2));
}
