import { Injectable, Logger, type OnApplicationBootstrap, type OnApplicationShutdown } from '@nestjs/common';
import type pg from 'pg';
import { Clock } from '../kernel/clock.ts';
import { MisuseError } from '../kernel/loggable-error.ts';
import { DatabaseClients } from './database-clients.ts';

/** When the database said which time it was. Milliseconds; `sentAt` and `receivedAt` as `performance.now()` counts. */
export interface Reading {
  readonly serverMs: number;
  readonly sentAt: number;
  readonly receivedAt: number;
}

// A clock that is slewed runs faster or slower by at most 500 ppm (adjtimex): 15 ms between two readings.
const intervalMs = 30_000;
const kept = 8;

/** What is known of the database's clock from some readings of it. */
export class ClockReadings {
  private readings: readonly Reading[] = [];

  /** Those that the new one contradicts are forgotten: the database's clock was set back, or is another one's by now. */
  add(reading: Reading): void {
    const latest = reading.serverMs + reading.receivedAt - reading.sentAt;
    const agreeing = this.readings.filter((one) => earliest(one, reading.receivedAt) <= latest);
    this.readings = [...agreeing, reading].slice(-kept);
  }

  /** The latest time that it is by now for certain, so that nothing is over that the database does not call over. Null before the first reading. */
  at(now: number): number | null {
    return this.readings.length === 0 ? null : Math.max(...this.readings.map((one) => earliest(one, now)));
  }
}

// It was read at some moment between sending and receiving; the least time has passed since if it was the last one.
const earliest = ({ serverMs, receivedAt }: Reading, now: number): number => serverMs + now - receivedAt;

/**
 * The database's clock as this process knows it: read at the start and now and then, and counted on by the monotonic clock in between. The
 * process's own wall clock may be wrong, and jump, without anybody noticing.
 */
@Injectable()
export class DatabaseClock extends Clock implements OnApplicationBootstrap, OnApplicationShutdown {
  private readonly logger = new Logger(DatabaseClock.name);
  private readonly readings = new ClockReadings();
  private timer: NodeJS.Timeout | undefined;

  constructor(private readonly databases: DatabaseClients) {
    super();
  }

  /** Throws before the start is done: no database has been asked. */
  now(): Date {
    const ms = this.readings.at(performance.now());
    if (ms === null) throw new MisuseError('The database has not been asked for its time yet.');
    return new Date(ms);
  }

  async onApplicationBootstrap(): Promise<void> {
    await this.read(this.databases.write.pool);
    this.timer = setInterval(() => void this.readAlone(), intervalMs).unref();
  }

  onApplicationShutdown(): void {
    clearInterval(this.timer);
  }

  private async read(source: Pick<pg.ClientBase, 'query'> | Pick<pg.Pool, 'query'>): Promise<void> {
    const sentAt = performance.now();
    const { rows } = await source.query<{ ms: number }>(
      'SELECT (extract(epoch FROM statement_timestamp()) * 1000)::float8 AS ms',
    );
    const serverMs = rows[0]?.ms;
    if (serverMs !== undefined) this.readings.add({ serverMs, sentAt, receivedAt: performance.now() });
  }

  // On a connection of its own, which no queue for the pool delays.
  private async readAlone(): Promise<void> {
    let client: pg.Client | null = null;
    try {
      client = this.databases.write.beside('clock of holdfast');
      client.on('error', () => undefined);
      await client.connect();
      await this.read(client);
    } catch (error) {
      // The monotonic clock goes on; the next reading corrects it.
      this.logger.debug({ err: error }, "the database's clock could not be read");
    } finally {
      await client?.end().catch(() => undefined);
    }
  }
}
