/** Gives after how many milliseconds to go on, 0 at once; null: when it is woken. Must not reject. */
type Work = () => Promise<number | null>;

/** Repeats work while there is some, one turn after the other: when it is woken, when the work says so, and every so many milliseconds. */
export class WakeableLoop {
  private timer: NodeJS.Timeout | null = null;
  private turn: Promise<void> | null = null;
  private isWoken = false;
  private isOn = false;

  constructor(
    private readonly work: Work,
    private readonly everyMs: number,
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
    if (this.timer !== null) clearTimeout(this.timer);
    await this.turn;
  }

  wake(): void {
    this.isWoken = true;
    if (this.isOn) this.turn ??= this.run();
  }

  private async run(): Promise<void> {
    if (this.timer !== null) clearTimeout(this.timer);
    let pauseMs: number | null = 0;
    while (this.isOn && (this.isWoken || pauseMs === 0)) {
      this.isWoken = false;
      pauseMs = await this.work();
    }
    this.turn = null;
    if (!this.isOn) return;
    this.timer = setTimeout(() => this.wake(), Math.min(pauseMs ?? this.everyMs, this.everyMs));
    // It is no reason for the process to go on.
    this.timer.unref();
  }
}
