import { PoolStarvedError, PoolTimeoutError } from './errors.ts';

/** Whoever holds a place: compared by identity. */
export type Holder = object;

interface Waiter {
  readonly held: readonly Holder[];
  readonly admit: () => void;
}

/**
 * Hands out the places of a pool so that it cannot be starved: those who hold a place and wait for another come first, and one that
 * would leave nobody who can go on is refused.
 */
export class Admission {
  private free: number;
  private readonly waiting: Waiter[] = [];
  private readonly onDrained: (() => void)[] = [];

  constructor(
    private readonly size: number,
    private readonly waitMs: number,
  ) {
    this.free = size;
  }

  /** Whether somebody who asked now would not have to wait. */
  get hasPlace(): boolean {
    return this.free > 0;
  }

  /** How many wait for a place. */
  get waitingCount(): number {
    return this.waiting.length;
  }

  /** Resolves when nobody has a place and nobody waits for one. */
  async drained(): Promise<void> {
    if (this.free === this.size) return;
    await new Promise<void>((resolve) => this.onDrained.push(resolve));
  }

  /**
   * Waits for a place. `held` are the places that the caller keeps meanwhile.
   * Throws PoolTimeoutError after `DATABASE_POOL_WAIT_MS`, PoolStarvedError when waiting would be in vain.
   */
  async enter(held: readonly Holder[]): Promise<void> {
    if (this.free > 0) {
      this.free--;
      return;
    }
    if (held.length > 0) this.refuseStarvation(held);
    await this.wait(held);
  }

  /** Gives a place back. */
  leave(): void {
    const next = this.waiting.shift();
    if (next === undefined) this.free++;
    else next.admit();
    if (this.free === this.size) for (const tell of this.onDrained.splice(0)) tell();
  }

  private wait(held: readonly Holder[]): Promise<void> {
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        this.waiting.splice(this.waiting.indexOf(waiter), 1);
        reject(new PoolTimeoutError(this.waitMs));
      }, this.waitMs);
      const admit = (): void => {
        clearTimeout(timer);
        resolve();
      };
      const waiter: Waiter = { held, admit };
      this.line(waiter);
    });
  }

  // Holders before the others, each in the order of their coming: a holder that goes on gives two places back.
  private line(waiter: Waiter): void {
    const firstWithout = this.waiting.findIndex(({ held }) => held.length === 0);
    const end = waiter.held.length === 0 || firstWithout === -1 ? this.waiting.length : firstWithout;
    this.waiting.splice(end, 0, waiter);
  }

  private refuseStarvation(held: readonly Holder[]): void {
    if (held.length >= this.size) throw new PoolStarvedError(this.size, false);
    const stuck = new Set([...held, ...this.waiting.flatMap((waiter) => waiter.held)]);
    if (stuck.size >= this.size) throw new PoolStarvedError(this.size, true);
  }
}
