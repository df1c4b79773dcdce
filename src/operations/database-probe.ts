import { setTimeout as sleep } from 'node:timers/promises';
import type pg from 'pg';
import { PlainClient } from '../transactions/wire/plain-client.ts';

/** What a probe says of a database; `unknown` until it was asked for the first time. */
export type DatabaseState = 'unknown' | 'up' | 'silent' | 'unreachable' | 'standby' | 'promoted';

/** Milliseconds. */
const freshFor = 1000;
const silentAfter = 1000;
const answerWithin = 60;

/**
 * A database as the probes see it, by a connection of its own: the pool that serves requests may be full. One question is under way for all
 * who ask; meanwhile, and for a second after, they are given the last answer.
 */
export class DatabaseProbe {
  private client: pg.Client | null = null;
  private underWay: Promise<void> | null = null;
  private begun = -Infinity;
  private answered = -Infinity;
  private last: DatabaseState = 'unknown';
  private isClosed = false;

  /** `isReplica`: it is meant to follow another server. */
  constructor(
    readonly name: string,
    private readonly url: string,
    private readonly isReplica: boolean,
  ) {}

  /** Within {@link answerWithin}, whatever the database does. Never rejects. */
  async state(): Promise<DatabaseState> {
    const now = performance.now();
    if (this.underWay === null && now - this.answered >= freshFor && !this.isClosed) this.underWay = this.ask(now);
    if (this.underWay !== null) await Promise.race([this.underWay, sleep(answerWithin)]);
    const isOverdue = this.underWay !== null && performance.now() - this.begun >= silentAfter;
    return isOverdue ? 'silent' : this.last;
  }

  close(): void {
    this.isClosed = true;
    this.drop();
  }

  private async ask(now: number): Promise<void> {
    this.begun = now;
    this.last = await this.question().catch((error: unknown) => this.failure(error as Error & { code?: string }));
    this.answered = performance.now();
    this.underWay = null;
  }

  private async question(): Promise<DatabaseState> {
    this.client ??= await this.connect();
    const { rows } = await this.client.query<{ follows: boolean }>('SELECT pg_is_in_recovery() AS follows');
    const follows = rows[0]?.follows === true;
    if (follows === this.isReplica) return 'up';
    return follows ? 'standby' : 'promoted';
  }

  private failure({ message, code }: Error & { code?: string }): DatabaseState {
    this.drop();
    // Canceled by the server's own clock, or given up by ours.
    return code === '57014' || /timeout/i.test(message) ? 'silent' : 'unreachable';
  }

  private async connect(): Promise<pg.Client> {
    const client = new PlainClient(this.url, {
      application_name: 'holdfast probe',
      connectionTimeoutMillis: silentAfter,
      query_timeout: silentAfter,
      keepAlive: true,
    });
    // It may break between two questions; the next one tells.
    client.on('error', () => undefined);
    client.on('end', () => {
      if (this.client === client) this.client = null;
    });
    await client.connect();
    return client;
  }

  private drop(): void {
    const { client } = this;
    this.client = null;
    void client?.end().catch(() => undefined);
  }
}
