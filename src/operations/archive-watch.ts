import {
  type BeforeApplicationShutdown,
  Inject,
  Injectable,
  Logger,
  type OnApplicationBootstrap,
} from '@nestjs/common';
import type { Config } from '../config/config.ts';
import { DatabaseConfig } from '../config/slices.ts';
import { type ArchiveFailure, type ArchiveState, askArchive } from '../database/wal-archive.ts';
import { PlainClient } from '../transactions/wire/plain-client.ts';
import { HealthReports } from './health.ts';
import { PeriodicJob } from './periodic-job.ts';

// As long as PostgreSQL waits before it tries again what has failed.
const pauseMs = 60_000;
const answerMs = 10_000;

/**
 * Tells that the write-ahead log of the primary is not archived although it is meant to be: in the log when that begins and ends, and as a part
 * of the readiness, `degraded`. Requests are served as ever, until the disk of the database is full of what it keeps.
 */
@Injectable()
export class ArchiveWatch implements OnApplicationBootstrap, BeforeApplicationShutdown {
  private readonly logger = new Logger(ArchiveWatch.name);
  private readonly job = new PeriodicJob(ArchiveWatch.name, () => this.look());
  private last: ArchiveState | null = null;
  private isPart = false;

  constructor(
    @Inject(DatabaseConfig.KEY) private readonly config: Config['database'],
    private readonly reports: HealthReports,
  ) {}

  onApplicationBootstrap(): void {
    this.job.start(pauseMs);
  }

  async beforeApplicationShutdown(): Promise<void> {
    await this.job.stop();
  }

  /** Asks now, on a connection of its own: all of the pool may be in use. A primary that cannot be asked says nothing of its archive. */
  async look(): Promise<void> {
    const state = await this.ask().catch(() => this.last);
    const wasFailing = isFailing(this.last);
    this.last = state;
    this.showPart();
    if (isFailing(state) && !wasFailing)
      this.logger.warn(
        { ...state },
        'the write-ahead log is not archived: the database keeps it until its disk is full',
      );
    if (!isFailing(state) && wasFailing) this.logger.log('the write-ahead log is archived again');
  }

  /** Where nothing is archived there is no such part. */
  private showPart(): void {
    if (this.isPart || this.last === null || this.last === 'off') return;
    this.isPart = true;
    this.reports.add('archive', () => (isFailing(this.last) ? 'fails' : null));
  }

  private async ask(): Promise<ArchiveState> {
    const client = new PlainClient(this.config.writeUrl, {
      application_name: 'holdfast archive',
      connectionTimeoutMillis: answerMs,
      query_timeout: answerMs,
    });
    client.on('error', () => undefined);
    try {
      await client.connect();
      return await askArchive(client);
    } finally {
      await client.end().catch(() => undefined);
    }
  }
}

const isFailing = (state: ArchiveState | null): state is ArchiveFailure => typeof state === 'object' && state !== null;
