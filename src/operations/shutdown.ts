import { setTimeout as sleep } from 'node:timers/promises';
import type { INestApplication } from '@nestjs/common';
import type { Config } from '../config/config.ts';
import { Drain } from './drain.ts';

/** What {@link stopOnSignal} ends the process with. */
export interface Ending {
  /** What is to be stopped after the service: the embedded database. */
  afterwards(): Promise<void>;
  exit(code: number): void;
  report(line: string): void;
}

/**
 * Stops in this order: not ready, still serving → the balancer has noticed → no new connections → requests in flight finish →
 * clients disconnect (`onApplicationShutdown`) → the rest → exit 0. Ctrl-C skips the wait for a balancer. A second signal, or the deadline, exits 1.
 */
export function stopOnSignal(app: INestApplication, { drainMs, deadlineMs }: Config['shutdown'], ending: Ending): void {
  let isStopping = false;
  const stop = async (signal: 'SIGTERM' | 'SIGINT'): Promise<void> => {
    if (isStopping) return finish(1, 'stopped at once: requests in flight were cut');
    isStopping = true;
    app.get(Drain).begin();
    const wait = signal === 'SIGTERM' ? drainMs : 0;
    const overdue = setTimeout(
      () => void finish(1, 'stopped at the deadline: requests in flight were cut'),
      wait + deadlineMs,
    );
    await sleep(wait);
    await app.close();
    clearTimeout(overdue);
    await finish(0);
  };
  const finish = async (code: number, line?: string): Promise<void> => {
    if (line !== undefined) ending.report(line);
    await ending.afterwards();
    ending.exit(code);
  };
  const start = (signal: 'SIGTERM' | 'SIGINT') => () =>
    void stop(signal).catch((error: unknown) => {
      ending.report(`could not stop cleanly: ${String(error)}`);
      return finish(1);
    });
  process.on('SIGTERM', start('SIGTERM'));
  process.on('SIGINT', start('SIGINT'));
}
