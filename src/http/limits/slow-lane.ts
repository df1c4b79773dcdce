import { setTimeout as sleep } from 'node:timers/promises';

const mostLanes = 10_000;

interface Lane {
  /** When the next one may go, by `performance.now()`. */
  nextAt: number;
  readonly waiting: Set<string>;
}

/**
 * Slows down instead of refusing: of those with one key one goes at a time, `spacingMs` apart, and each address waits in one place at most, so that
 * whoever asks without end takes turns with everybody else. Keys are those that are being slowed down now; of too many, the one that was not asked
 * for longest is forgotten.
 */
export class SlowLane {
  private readonly lanes = new Map<string, Lane>();

  constructor(
    private readonly spacingMs: number,
    /** Who would have to wait longer is refused. */
    private readonly longestMs: number,
    private readonly most = mostLanes,
  ) {}

  /** Waits for one's turn; false, at once, when there is none. */
  async wait(key: string, address: string): Promise<boolean> {
    const now = performance.now();
    const lane = this.laneOf(key, now);
    const at = Math.max(now, lane.nextAt);
    if (lane.waiting.has(address) || at - now > this.longestMs) return false;
    lane.nextAt = at + this.spacingMs;
    lane.waiting.add(address);
    await sleep(at - now);
    lane.waiting.delete(address);
    return true;
  }

  private laneOf(key: string, now: number): Lane {
    for (const [other, { nextAt, waiting }] of this.lanes)
      if (nextAt <= now && waiting.size === 0) this.lanes.delete(other);
      else break;
    const lane = this.lanes.get(key) ?? { nextAt: now, waiting: new Set<string>() };
    // At the end: what was begun first is over first.
    this.lanes.delete(key);
    this.lanes.set(key, lane);
    const [oldest] = this.lanes.keys();
    if (this.lanes.size > this.most && oldest !== undefined) this.lanes.delete(oldest);
    return lane;
  }
}
