import {
  type BeforeApplicationShutdown,
  Inject,
  Injectable,
  Logger,
  type OnApplicationBootstrap,
  type OnModuleInit,
} from '@nestjs/common';
import { DiscoveryService } from '@nestjs/core';
import { type Config, RetentionConfig } from '../config/config.ts';
import { removeExpired } from '../database/expired-rows.ts';
import { InjectDatabase, type Sql } from '../database/tables.ts';
import { Consistency } from '../transactions/consistency.ts';
import { unitOfWork } from '../transactions/unit-of-work.ts';
import { Transactions } from '../transactions/transactions.ts';
import { expiredRemoved } from './events.ts';
import { type Declared, declaredOn, type Remove } from './expiring.ts';
import { MisuseError } from '../kernel/loggable-error.ts';

/** Rows that one statement removes at most: some milliseconds, during which it holds their locks. */
export const batchSize = 1000;

/** A table in the hands of the sweeper. */
interface Swept extends Declared {
  readonly remove: Remove;
  /** By this instance, since it started. */
  removed: number;
  hasFailed: boolean;
}

/**
 * Removes what is over, in every table that declares an end ({@link Expiring}), behind everybody: in batches that each are stored, again and
 * again while a batch is full, one table after the other so that none waits for another to be empty. Every instance does; a row that one
 * removes is passed over by the others. A failure is told once and tried again with the next round.
 */
@Injectable()
export class Sweeper implements OnModuleInit, OnApplicationBootstrap, BeforeApplicationShutdown {
  private readonly logger = new Logger(Sweeper.name);
  private swept: readonly Swept[] = [];
  private timer: NodeJS.Timeout | null = null;
  private round: Promise<void> | null = null;
  private isStopped = false;

  constructor(
    private readonly discovery: DiscoveryService,
    private readonly transactions: Transactions,
    private readonly consistency: Consistency,
    // Sql: Prisma does not delete in an order, nor so many.
    @InjectDatabase() private readonly db: Sql,
    @Inject(RetentionConfig.KEY) private readonly config: Config['retention'],
  ) {}

  /** Every table that is swept, with how many rows this instance has removed. */
  get tables(): readonly Readonly<Pick<Swept, 'table' | 'end' | 'removed'>>[] {
    return this.swept;
  }

  /** Throws where a table is declared twice. */
  onModuleInit(): void {
    const instances = this.discovery.getProviders().map((provider) => provider.instance as unknown);
    this.swept = [...new Set(instances)].flatMap((instance) =>
      declaredOn(instance).map((declared) => this.sweptBy(declared, instance)),
    );
    const names = this.swept.map(({ table }) => table);
    if (new Set(names).size < names.length) throw new MisuseError(`A table is swept twice, of ${names.join(', ')}.`);
  }

  onApplicationBootstrap(): void {
    if (this.config.sweepIntervalMs > 0) this.waitForTurn();
  }

  /** Ends with the batch in hand; what is left is removed by another instance, or by the next start. */
  async beforeApplicationShutdown(): Promise<void> {
    this.isStopped = true;
    if (this.timer !== null) clearTimeout(this.timer);
    await this.round;
  }

  /** Removes all that is over by now, or joins the round that is doing so. Never rejects. */
  async sweep(): Promise<void> {
    this.round ??= this.sweepAll().finally(() => {
      this.round = null;
    });
    return this.round;
  }

  private waitForTurn(): void {
    if (this.isStopped) return;
    this.timer = setTimeout(() => {
      void this.sweep().finally(() => {
        this.waitForTurn();
      });
    }, this.config.sweepIntervalMs);
    // It is no reason for the process to go on.
    this.timer.unref();
  }

  // Followed as itself: what it writes concerns no reader, and must not make any wait for its replica.
  private async sweepAll(): Promise<void> {
    const itself = this.consistency.follower(() => 'sweeper', null);
    await this.consistency.follow(itself, async () => {
      for (let left = this.swept; left.length > 0;) left = await this.batchOfEach(left);
    });
  }

  /** Gives the tables that have more. */
  private async batchOfEach(tables: readonly Swept[]): Promise<Swept[]> {
    const full: Swept[] = [];
    for (const one of tables) if (!this.isStopped && (await this.batch(one)) >= batchSize) full.push(one);
    return full;
  }

  private async batch(one: Swept): Promise<number> {
    const begunAt = performance.now();
    try {
      const removed = await unitOfWork(`Sweeper of ${one.table}`, () => one.remove(batchSize));
      one.removed += removed;
      one.hasFailed = false;
      if (removed > 0) expiredRemoved.publish({ table: one.table, removed, durationMs: performance.now() - begunAt });
      return removed;
    } catch (error) {
      if (!one.hasFailed) this.logger.warn({ err: error, table: one.table }, 'expired rows could not be removed');
      one.hasFailed = true;
      return 0;
    }
  }

  private sweptBy(declared: Declared, instance: unknown): Swept {
    const remove = declared.remove?.bind(instance) ?? this.deleting(declared);
    return { ...declared, remove, removed: 0, hasFailed: false };
  }

  /** Deletes the rows. Goes on where it stopped while its batches are full, else begins anew. */
  private deleting(declared: Declared): Remove {
    let from: Date | null = null;
    return async (most) => {
      const { removed, through } = await this.transactions.run(
        { name: `Sweeper.${declared.table}`, timeout: '5s', retry: 0 },
        () => removeExpired(this.db, declared, { most, from }),
      );
      from = removed >= most ? through : null;
      return removed;
    };
  }
}
