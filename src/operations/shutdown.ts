import { setTimeout as sleep } from 'node:timers/promises';
import type { Config } from '../config/config.ts';

// npm passes on to us the Ctrl-C that the terminal has already sent us: what follows this soon is the same wish.
const sameWishMs = 500;
// A terminal that is closed sends SIGHUP, Ctrl-\\ SIGQUIT: both mean what Ctrl-C means.
const signals = ['SIGTERM', 'SIGINT', 'SIGHUP', 'SIGQUIT'] as const;
type Signal = (typeof signals)[number];

/** What there is to drain. */
export interface Drainable {
  /** Asks to be sent nothing more, and gives up what the start still waits for. */
  begin(): void;
  /** Ends with the last request. */
  close(): Promise<void>;
}

/** A service that listens for requests, and how long its stopping may take. */
interface Serving {
  readonly service: Drainable;
  readonly shutdown: Config['shutdown'];
}

/** What {@link Shutdown} ends the process with. */
interface Ending {
  /** It is about to end. Called once. */
  announce(): void;
  /** Stops what the service stood on: the embedded database. Called once, whatever happened before. */
  afterwards(): Promise<void>;
  exit(code: number): void;
  report(line: string): void;
}

/**
 * Stops in this order: not ready, still serving → the balancer has noticed → no new connections → requests in flight finish →
 * clients disconnect (`onApplicationShutdown`) → the rest → exit 0. Ctrl-C and a closed terminal skip the wait for a balancer. A second signal, later, or the deadline exits 1.
 * Listens from its construction on: a signal during the start leaves nothing running either.
 */
export class Shutdown {
  /** Whether a balancer may send requests here, and has to be told first that we stop. */
  drains = false;
  private serving: Serving | null = null;
  private stoppingSince: number | null = null;
  private readonly ending: Ending;

  constructor(ending: Ending) {
    this.ending = ending;
    for (const signal of signals) process.on(signal, this.onSignal);
  }

  get isOn(): boolean {
    return this.stoppingSince !== null;
  }

  /** From here on there is something to drain. */
  serve(service: Drainable, shutdown: Config['shutdown']): void {
    this.serving = { service, shutdown };
  }

  /** For what it cannot go on without: requests in flight are finished as far as they can be, and the process ends with 1. */
  async fail(line: string): Promise<void> {
    if (this.isOn) return;
    this.stoppingSince = performance.now();
    this.ending.report(line);
    this.ending.announce();
    if (this.serving !== null) await this.drain(this.serving, 'SIGINT').catch(() => undefined);
    await this.finish(1);
  }

  private readonly onSignal = (signal: Signal): void => {
    if (this.stoppingSince !== null && performance.now() - this.stoppingSince < sameWishMs) return;
    const stop = this.isOn ? this.finish(1, 'stopped at once: requests in flight were cut') : this.stop(signal);
    void stop.catch((error: unknown) => this.finish(1, `could not stop cleanly: ${String(error)}`));
  };

  private async stop(signal: Signal): Promise<void> {
    this.stoppingSince = performance.now();
    this.ending.announce();
    if (this.serving !== null) await this.drain(this.serving, signal);
    await this.finish(0);
  }

  private async drain({ service, shutdown: { drainMs, deadlineMs } }: Serving, signal: Signal): Promise<void> {
    service.begin();
    const waitMs = signal === 'SIGTERM' && this.drains ? drainMs : 0;
    const cut = (): void => void this.finish(1, 'stopped at the deadline: requests in flight were cut');
    const overdue = setTimeout(cut, waitMs + deadlineMs);
    await sleep(waitMs);
    await service.close();
    clearTimeout(overdue);
  }

  private async finish(code: number, line?: string): Promise<void> {
    if (line !== undefined) this.ending.report(line);
    await this.ending.afterwards().catch((error: unknown) => this.ending.report(String(error)));
    this.ending.exit(code);
  }
}
