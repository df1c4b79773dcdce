/** How often a key was counted in its window, and how much of that is left in milliseconds. */
interface Count {
  readonly current: number;
  readonly ttl: number;
}
interface Window {
  count: number;
  /** As `performance.now()` counts. */
  readonly endsAt: number;
}
type Answer = (error: null, count: Count) => void;

const defaultKeys = 5000;

/**
 * Fixed windows for `@fastify/rate-limit`, by the monotonic clock: the library's own store counts by the wall clock, and one that is set back
 * keeps a caller out for as long. Remembers at most `cache` keys; who has not been seen longest is forgotten first.
 */
export class RateLimitStore {
  // A Map keeps the order of insertion: the first one was seen longest ago.
  private readonly windows = new Map<string, Window>();
  private readonly mostKeys: number;

  constructor({ cache }: { readonly cache?: number }) {
    this.mostKeys = cache ?? defaultKeys;
  }

  incr(key: string, answer: Answer, timeWindow: number): void {
    const now = performance.now();
    const known = this.windows.get(key);
    const window = known === undefined || known.endsAt <= now ? { count: 0, endsAt: now + timeWindow } : known;
    window.count++;
    this.windows.delete(key);
    this.windows.set(key, window);
    if (this.windows.size > this.mostKeys) this.forgetOldest();
    answer(null, { current: window.count, ttl: Math.round(window.endsAt - now) });
  }

  /** A store of its own, for one policy. */
  child(options: { readonly cache?: number }): RateLimitStore {
    return new RateLimitStore(options);
  }

  private forgetOldest(): void {
    for (const key of this.windows.keys()) {
      this.windows.delete(key);
      return;
    }
  }
}
