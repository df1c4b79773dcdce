import { AsyncLocalStorage } from 'node:async_hooks';
import { setTimeout as sleep } from 'node:timers/promises';
import { Logger } from '@nestjs/common';
import type { DatabaseClient } from '../../database/database-client.ts';
import { LoggableError } from '../../kernel/loggable-error.ts';
import type { Pool } from '../wire/pool.ts';
import { hadNoPlace } from '../wire/postgres-errors.ts';
import { type Lsn, parseLsn } from './watermark.ts';

// A server that is no standby has no such position, and nobody knows what it holds: it may be one that was promoted and left alone since.
const replayed = {
  name: 'replay_position',
  text: 'SELECT CASE WHEN pg_is_in_recovery() THEN pg_last_wal_replay_lsn()::text END AS answer',
};
// Between two questions, however many wait for the answer.
const pollMs = 2;
// How often one that is read from is asked whether it still follows, where no reader has to know its position.
const confirmMs = 5000;
// How often one that was lost is tried again.
const retryMs = 250;

/** One standby: whether it can be reached, and up to where it is known to have replayed the log. */
export class Replica {
  isLost = false;
  private replayed: Lsn = 0n;
  private asking: Promise<void> | null = null;
  private askedAt = performance.now();
  // A question is shared, and must not belong to the boundary of whoever asks first.
  private readonly outside = AsyncLocalStorage.snapshot();
  private readonly logger = new Logger(Replica.name);

  constructor(readonly client: DatabaseClient) {
    // A standby that crashed may show an older state when it is back: what is known of it ends with any connection to it.
    client.pool.on('connect', (connection) => connection.once('end', () => this.forget()));
  }

  /** Whether it is known to hold everything up to this position. Asks nobody: the log is replayed in one direction only. */
  has(lsn: Lsn): boolean {
    return !this.isLost && this.replayed >= lsn;
  }

  /**
   * To be called when it is read from: has it asked now and then, without waiting. One that was promoted answers on the connections that there
   * are as before, with what was true then.
   */
  confirm(): void {
    if (performance.now() - this.askedAt >= confirmMs) void this.ask();
  }

  /** Waits until it holds everything up to this position; false when it is lost, or when `over` comes first. */
  async reaches(lsn: Lsn, over: Promise<null>): Promise<boolean> {
    while (!this.has(lsn)) {
      const asked = this.ask().then(() => true);
      const isInTime = (await Promise.race([asked, over])) ?? false;
      if (this.isLost || !isInTime) return this.has(lsn);
    }
    return true;
  }

  /** It could not be reached: reads leave it alone until it answers again. */
  lose(error: unknown): void {
    if (this.isLost) return;
    this.isLost = true;
    this.forget();
    this.logger.warn({ err: error, replica: this.client.name }, 'the replica cannot be read from');
    void this.outside(() => this.untilItAnswers());
  }

  private forget(): void {
    this.replayed = 0n;
  }

  private ask(): Promise<void> {
    this.asking ??= this.outside(() => this.question()).finally(() => {
      this.asking = null;
    });
    return this.asking;
  }

  private async question(): Promise<void> {
    const pause = this.askedAt + pollMs - performance.now();
    if (pause > 0) await sleep(Math.ceil(pause));
    this.askedAt = performance.now();
    await askReplayed(this.client.pool).then(
      (lsn) => (this.replayed = lsn),
      (error: unknown) => hadNoPlace(error) || this.lose(error),
    );
  }

  private async untilItAnswers(): Promise<void> {
    const { pool } = this.client;
    while (!pool.ending && this.isLost) {
      await sleep(retryMs, undefined, { ref: false });
      this.isLost = await askReplayed(pool).then(
        () => false,
        () => true,
      );
    }
  }
}

class NoStandbyError extends LoggableError {
  override readonly name = 'NoStandbyError';
}

async function askReplayed(pool: Pool): Promise<Lsn> {
  const { rows } = await pool.query<{ answer: string | null }>(replayed);
  const answer = rows[0]?.answer ?? null;
  if (answer === null) throw new NoStandbyError('The server is no standby.');
  return parseLsn(answer);
}
