import { generalProblems } from '../../kernel/general.problems.ts';

interface Bounds {
  /** Pieces of work that run at a time. */
  readonly atOnce: number;
  /** Those that may wait for their turn. */
  readonly waiting: number;
  /** How long they may. */
  readonly waitMs: number;
}

/** Runs what takes a processor and a thread of libuv for tens of milliseconds, so many at a time: what comes beside that waits, within bounds, or is refused. */
export class HashingQueue {
  private running = 0;
  private readonly waiting = new Set<() => void>();

  constructor(private readonly bounds: Bounds) {}

  /** `share` of the places to wait may be taken by this kind of work. Throws temporary-reduced-capacity. */
  async run<T>(work: () => Promise<T>, share = 1): Promise<T> {
    await this.enter(share);
    try {
      return await work();
    } finally {
      this.leave();
    }
  }

  private enter(share: number): Promise<void> {
    if (this.running < this.bounds.atOnce) {
      this.running++;
      return Promise.resolve();
    }
    if (this.waiting.size >= this.bounds.waiting * share) return Promise.reject(full());
    return new Promise((resolve, reject) => {
      const turn = (): void => {
        clearTimeout(timer);
        resolve();
      };
      const timer = setTimeout(() => {
        this.waiting.delete(turn);
        reject(full());
      }, this.bounds.waitMs);
      this.waiting.add(turn);
    });
  }

  /** The place goes to whoever has waited longest. */
  private leave(): void {
    const [next] = this.waiting;
    if (next === undefined) {
      this.running--;
      return;
    }
    this.waiting.delete(next);
    next();
  }
}

const full = () => generalProblems.reducedCapacity('As many passwords are being hashed as can be. Nothing was done.');
