import { setTimeout as sleep } from 'node:timers/promises';

/** Gives after how many milliseconds to go on, 0 at once; null: when it is woken. Must not reject. */
type Work = () => Promise<number | null>;

/** Repeats work while there is some, one turn after the other: when it is woken, when the work says so, and every so many milliseconds. */
export class WakeableLoop {
  private timer: NodeJS.Timeout | null = null;
  private turn: Promise<void> | null = null;
  private isWoken = false;
  private begunAt = -Infinity;
  private isOn = false;
  private readonly ended = new AbortController();

  constructor(
    private readonly work: Work,
    private readonly everyMs: number,
    /** Between the beginnings of two turns for which it was woken: what comes meanwhile is done by one. */
    private readonly leastMs = 0,
  ) {}

  get isStopped(): boolean {
    return !this.isOn;
  }

  start(): void {
    this.isOn = true;
    this.wake();
  }

  /** Ends with the turn in hand. */
  async stop(): Promise<void> {
    this.isOn = false;
    this.ended.abort();
    if (this.timer !== null) clearTimeout(this.timer);
    await this.turn;
  }

  wake(): void {
    this.isWoken = true;
    if (this.isOn) this.turn ??= this.run();
  }

  private async run(): Promise<void> {
    if (this.timer !== null) clearTimeout(this.timer);
    let pauseMs: number | null = null;
    while (this.isOn && (this.isWoken || pauseMs === 0)) {
      if (pauseMs !== 0) await this.space();
      if (!this.isOn) break;
      this.isWoken = false;
      this.begunAt = performance.now();
      pauseMs = await this.work();
    }
    this.turn = null;
    if (!this.isOn) return;
    this.timer = setTimeout(() => this.wake(), Math.min(pauseMs ?? this.everyMs, this.everyMs));
    // It is no reason for the process to go on.
    this.timer.unref();
  }

  private async space(): Promise<void> {
    const leftMs = this.begunAt + this.leastMs - performance.now();
    if (leftMs > 0) await sleep(leftMs, null, { ref: false, signal: this.ended.signal }).catch(() => undefined);
  }
}
