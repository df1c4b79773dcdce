// Lengthened, never shortened: what is promised to be waited for is waited for.
const jitter = 0.1;

/** How long to wait after so many attempts, milliseconds, up to a tenth longer; null when that was the last one. */
export function pauseFrom(pausesMs: readonly number[], tries: number): number | null {
  const pauseMs = pausesMs[tries - 1];
  return pauseMs === undefined ? null : Math.round(pauseMs * (1 + Math.random() * jitter));
}
