import { setTimeout as sleep } from 'node:timers/promises';
import { Inject, Injectable, Logger } from '@nestjs/common';
import { type Config, DatabaseConfig } from '../config/config.ts';
import type { Client } from '../database/client.ts';
import { Databases } from '../database/databases.ts';
import { isOutcomeUnknown, isUnreachable } from '../database/failures.ts';
import type { WireTransaction } from '../database/wire-transaction.ts';
import type { Call } from './client.ts';
import { CommitOutcomeUnknownError } from './errors.ts';

const pollMs = 2;
// How often a replica that was lost is tried again.
const retryMs = 250;

/**
 * Decides which client a read outside a write boundary uses, so that it sees whatever this instance has written.
 * Writes only count up; the first read after a write asks the primary for its WAL position and the replica whether it has replayed it.
 */
@Injectable()
export class ReadRouter {
  private writes = 0;
  private writesOnReplica = 0;
  private isReplicaLost = false;
  private check: { readonly writes: number; readonly passed: Promise<boolean> } | null = null;
  private readonly logger = new Logger(ReadRouter.name);

  constructor(
    private readonly databases: Databases,
    @Inject(DatabaseConfig.KEY) private readonly config: Config['database'],
  ) {}

  /** Runs a call outside any boundary: a read where it sees what the caller has written, all else on the primary. */
  plain(call: Call): Promise<unknown> {
    return call.kind === 'read' ? this.read(call) : this.write(call);
  }

  /** To be called after a write ended, however it ended: a failed one may have been stored. */
  wrote(_wire: WireTransaction | null): void {
    this.writes++;
  }

  /** The read client when it holds every write of this instance, if need be after a bounded wait; else the write client. */
  async client(): Promise<Client> {
    const { read, write, hasReplica } = this.databases;
    if (this.isReplicaLost) return write;
    if (!hasReplica || this.writesOnReplica >= this.writes) return read;
    return (await this.replicaHasAll()) ? read : write;
  }

  /** The replica could not be reached: reads leave it alone until it answers again. */
  lost(_client: Client, error: unknown): void {
    if (this.isReplicaLost) return;
    this.logger.warn({ err: error }, 'the replica cannot be reached: reading from the primary');
    this.isReplicaLost = true;
    void this.untilReplicaAnswers();
  }

  private async untilReplicaAnswers(): Promise<void> {
    const { pool } = this.databases.read;
    while (!pool.ending && this.isReplicaLost) {
      await sleep(retryMs, undefined, { ref: false });
      this.isReplicaLost = await pool.query('SELECT 1').then(
        () => false,
        () => true,
      );
    }
  }

  private async read(call: Call): Promise<unknown> {
    const client = await this.client();
    try {
      return await call.on(client.prisma);
    } catch (error) {
      if (client === this.databases.write || !isUnreachable(error)) throw error;
      this.lost(client, error);
      return call.on(this.databases.write.prisma);
    }
  }

  private async write(call: Call): Promise<unknown> {
    try {
      return await call.on(this.databases.write.prisma);
    } catch (error) {
      if (isOutcomeUnknown(error)) throw new CommitOutcomeUnknownError(call.name, error);
      throw error;
    } finally {
      this.wrote(null);
    }
  }

  // Reads that arrive together share one check, as long as nothing was written since it began.
  private replicaHasAll(): Promise<boolean> {
    if (this.check === null || this.check.writes < this.writes)
      this.check = { writes: this.writes, passed: this.waitForReplica(this.writes) };
    const mine = this.check;
    return mine.passed.finally(() => {
      if (this.check === mine) this.check = null;
    });
  }

  private async waitForReplica(writes: number): Promise<boolean> {
    const deadline = performance.now() + this.config.replicaWaitMs;
    try {
      // Flushed, not inserted: a COMMIT is acknowledged when its WAL is flushed, and what is not flushed yet may not be sent for a while.
      const { rows } = await this.databases.write.pool.query<{ lsn: string }>(
        'SELECT pg_current_wal_flush_lsn() AS lsn',
      );
      if (!(await this.catchesUp(rows[0]?.lsn, deadline))) return false;
      this.writesOnReplica = Math.max(this.writesOnReplica, writes);
      return true;
    } catch (error) {
      if (isUnreachable(error)) this.lost(this.databases.read, error);
      else this.logger.warn({ err: error }, 'the replica did not tell its position: reading from the primary');
      return false;
    }
  }

  private async catchesUp(position: string | undefined, deadline: number): Promise<boolean> {
    while (!(await within(deadline, this.replayed(position)))) {
      if (performance.now() >= deadline) return false;
      await sleep(pollMs);
    }
    return true;
  }

  private async replayed(position: string | undefined): Promise<boolean> {
    const { rows } = await this.databases.read.pool.query<{ there: boolean | null }>(
      'SELECT pg_last_wal_replay_lsn() >= $1::pg_lsn AS there',
      [position],
    );
    return rows[0]?.there ?? !this.databases.hasReplica;
  }
}

/** The answer, or false when it does not come in time: a replica that has gone silent must not hold a read up. */
function within(deadline: number, answer: Promise<boolean>): Promise<boolean> {
  const over = sleep(Math.max(deadline - performance.now(), 0), false, { ref: false });
  return Promise.race([answer, over]);
}
