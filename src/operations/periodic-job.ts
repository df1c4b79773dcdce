import { Logger } from '@nestjs/common';
import { unitOfWork } from '../transactions/unit-of-work.ts';

/**
 * Runs work again and again while the service runs, with a pause after each turn. A turn is a unit of work: it writes with one boundary or one
 * statement. A turn that fails is logged once in a row of failures, and the next one begins after the pause. Every instance runs the job.
 */
export class PeriodicJob {
  private readonly logger: Logger;
  private timer: NodeJS.Timeout | null = null;
  private turn: Promise<void> = Promise.resolve();
  private hasFailed = false;
  private isOver = false;

  /** `failed` is what the log says of a turn that failed. */
  constructor(
    private readonly name: string,
    private readonly work: () => Promise<unknown>,
    private readonly failed = 'a turn of the job failed',
  ) {
    this.logger = new Logger(name);
  }

  /** Whether a turn that does several things should end after the one in hand. */
  get isStopped(): boolean {
    return this.isOver;
  }

  /** Begins, after a first pause. From `onApplicationBootstrap`. */
  start(pauseMs: number): void {
    if (this.isOver) return;
    this.timer = setTimeout(() => {
      this.turn = this.take().finally(() => this.start(pauseMs));
    }, pauseMs);
    // It is no reason for the process to go on.
    this.timer.unref();
  }

  /** Ends with the turn in hand. From `beforeApplicationShutdown`, which awaits it. */
  async stop(): Promise<void> {
    this.isOver = true;
    if (this.timer !== null) clearTimeout(this.timer);
    await this.turn;
  }

  private async take(): Promise<void> {
    try {
      await unitOfWork(this.name, this.work);
      this.hasFailed = false;
    } catch (error) {
      if (!this.hasFailed) this.logger.warn({ err: error }, this.failed);
      this.hasFailed = true;
    }
  }
}
