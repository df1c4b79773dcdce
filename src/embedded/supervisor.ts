import { setTimeout as sleep } from 'node:timers/promises';
import { ClusterError } from './problems.ts';
import { type PostgresServer, stopLeftover } from './server.ts';

/** How long it waits before each start; after the last one within {@link windowMs} it gives up. */
export const restartPausesMs: readonly number[] = [100, 500, 2000, 5000, 15_000];
const windowMs = 600_000;

export interface Supervision {
  /** "primary": how messages call it. */
  readonly name: string;
  readonly folder: string;
  readonly pausesMs: readonly number[];
  readonly report: (line: string) => void;
  /** Told when it gives up. */
  readonly giveUp: (error: ClusterError) => void;
}

/** Starts a server of ours again that has ended by itself, a bounded number of times. */
export class Supervisor {
  private readonly starts: number[] = [];
  private isOver = false;
  private readonly server: PostgresServer;
  private readonly supervision: Supervision;

  constructor(server: PostgresServer, supervision: Supervision) {
    this.server = server;
    this.supervision = supervision;
    server.onUnexpectedEnd = () => void this.startAgain();
  }

  /** From here on it may end. */
  stop(): void {
    this.isOver = true;
  }

  private async startAgain(): Promise<void> {
    const { folder, pausesMs, report, name } = this.supervision;
    const now = performance.now();
    while (this.starts.length > 0 && now - (this.starts[0] ?? now) > windowMs) this.starts.shift();
    const pauseMs = pausesMs[this.starts.length];
    if (this.isOver) return;
    if (pauseMs === undefined) return this.giveUp();
    this.starts.push(now);
    report(`the ${name} ended by itself: starting it again (${this.starts.length} of ${pausesMs.length})`);
    await sleep(pauseMs);
    const error = await this.attempt(folder);
    if (this.isOver) return;
    if (error === null) return report(`the ${name} runs again`);
    report(error.message);
    await this.startAgain();
  }

  /** What its sessions have left at work would keep it from starting. */
  private async attempt(folder: string): Promise<Error | null> {
    try {
      if (!this.isOver) await stopLeftover(folder);
      if (!this.isOver) await this.server.start();
      return null;
    } catch (error) {
      return error as Error;
    }
  }

  private giveUp(): void {
    const { name, giveUp } = this.supervision;
    giveUp(
      new ClusterError(
        `The embedded ${name} has ended ${this.starts.length + 1} times within ten minutes and is not started again: see ${this.server.logFile}.`,
      ),
    );
  }
}
