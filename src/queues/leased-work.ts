import { AsyncResource } from 'node:async_hooks';
import { Logger } from '@nestjs/common';
import { WakeableLoop } from './wakeable-loop.ts';
import { unitOfWork } from '../transactions/unit-of-work.ts';

/** What a lease lasts beyond the work: as long as its outcome may take to be stored. */
const storingMs = 30_000;

/** Work that instances share by leases: what one has taken on is taken over by another when its lease is over. */
export interface LeasedWorkOptions<Task> {
  readonly name: string;
  /** Pause between two looks for what is due; 0: this instance takes nothing on. */
  readonly everyMs: number;
  /** Tasks in hand at a time. */
  readonly atOnce: number;
  /** How long one task takes at most, as its work sees to. */
  readonly limitMs: number;
  /** Leases at most so many tasks that are due, each for so long, and gives them. */
  readonly take: (most: number, leaseMs: number) => Promise<readonly Task[]>;
  /** Does one, and stores what it has come to. Must not reject. */
  readonly do: (task: Task) => Promise<void>;
}

/** Takes on what is due and does each task beside the others, outside any boundary: one that hangs holds up no other one. */
export class LeasedWork<Task> {
  private readonly logger: Logger;
  private readonly loop: WakeableLoop;
  private readonly active = new Set<Promise<void>>();
  // The work belongs to no boundary, and to no request of a caller, whoever has brought it about.
  private readonly outside: AsyncResource;

  constructor(private readonly options: LeasedWorkOptions<Task>) {
    this.logger = new Logger(options.name);
    this.outside = new AsyncResource(options.name);
    this.loop = new WakeableLoop(() => this.work(), options.everyMs);
  }

  start(): void {
    if (this.options.everyMs > 0) this.outside.runInAsyncScope(() => this.loop.start());
  }

  wake(): void {
    this.outside.runInAsyncScope(() => this.loop.wake());
  }

  /** Ends with the tasks in hand. */
  async stop(): Promise<void> {
    await this.loop.stop();
    await Promise.all(this.active);
  }

  private async work(): Promise<number | null> {
    const free = this.options.atOnce - this.active.size;
    // Whoever is done calls for more.
    if (free === 0) return null;
    try {
      const { name, limitMs, take } = this.options;
      const taken = await unitOfWork(`${name}.take`, () => take(free, limitMs + storingMs));
      for (const task of taken) this.begin(task);
    } catch (error) {
      this.logger.warn({ err: error }, 'what is due could not be taken on');
    }
    return null;
  }

  /** Not awaited. */
  private begin(task: Task): void {
    const done = this.options.do(task).finally(() => {
      this.active.delete(done);
      this.wake();
    });
    this.active.add(done);
  }
}
