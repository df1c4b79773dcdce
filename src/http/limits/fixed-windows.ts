interface Window {
  count: number;
  /** As `performance.now()` counts. */
  readonly endsAt: number;
}

/** How often a key was counted in its window, and how much of that is left. */
interface Count {
  readonly count: number;
  readonly msToEnd: number;
}

/**
 * Counts in fixed windows, by the monotonic clock: by the wall clock, one that is set back keeps a caller out for as long. Remembers so many
 * keys; who has not been seen longest is forgotten first.
 */
export class FixedWindows {
  // A Map keeps the order of insertion: the first one was seen longest ago.
  private readonly windows = new Map<string, Window>();

  constructor(
    private readonly windowMs: number,
    private readonly mostKeys: number,
  ) {}

  count(key: string): Count {
    const now = performance.now();
    const known = this.windows.get(key);
    const window = known === undefined || known.endsAt <= now ? { count: 0, endsAt: now + this.windowMs } : known;
    window.count++;
    this.windows.delete(key);
    this.windows.set(key, window);
    if (this.windows.size > this.mostKeys) this.forgetOldest();
    return { count: window.count, msToEnd: Math.round(window.endsAt - now) };
  }

  private forgetOldest(): void {
    for (const key of this.windows.keys()) {
      this.windows.delete(key);
      return;
    }
  }
}
