import {
  type BeforeApplicationShutdown,
  Inject,
  Injectable,
  type OnApplicationBootstrap,
  type OnModuleInit,
} from '@nestjs/common';
import { DiscoveryService } from '@nestjs/core';
import type { Config } from '../config/config.ts';
import { RetentionConfig } from '../config/slices.ts';
import { MisuseError } from '../kernel/loggable-error.ts';
import { PeriodicJob } from '../operations/periodic-job.ts';
import { Consistency } from '../transactions/reads/consistency.ts';
import { InjectDatabase, type Sql } from '../transactions/tables.ts';
import { Transactions } from '../transactions/transactions.ts';
import { type ExpiringTable, removeExpired } from './expired-rows.ts';
import { type Declared, declaredOn, type Remove } from './expiring.ts';
import { SweptTable } from './swept-table.ts';

/**
 * Removes what is over, in every table that declares an end ({@link Expiring}), behind everybody: in batches that each are stored, again and
 * again while a batch is full, one table after the other so that none waits for another to be empty. Every instance does; a row that one
 * removes is passed over by the others. A failure is told once and tried again with the next round, which goes on where this one was. Each
 * round tells what is left of each table (`holdfast:expired-left`).
 */
@Injectable()
export class Sweeper implements OnModuleInit, OnApplicationBootstrap, BeforeApplicationShutdown {
  private swept: readonly SweptTable[] = [];
  private readonly job = new PeriodicJob(Sweeper.name, () => this.sweepFrom(false));
  private round: Promise<void> | null = null;

  constructor(
    private readonly discovery: DiscoveryService,
    private readonly transactions: Transactions,
    private readonly consistency: Consistency,
    // Sql: Prisma does not delete in an order, nor so many.
    @InjectDatabase() private readonly db: Sql,
    @Inject(RetentionConfig.KEY) private readonly config: Config['retention'],
  ) {}

  /** Every table that is swept, with how many rows this instance has removed. */
  get tables(): readonly Readonly<Pick<SweptTable, 'table' | 'end' | 'removed'>>[] {
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
    if (this.config.sweepIntervalMs > 0) this.job.start(this.config.sweepIntervalMs);
  }

  /** Ends with the batch in hand; what is left is removed by another instance, or by the next start. */
  async beforeApplicationShutdown(): Promise<void> {
    await this.job.stop();
    await this.round;
  }

  /** Removes all that is over by now, or joins the round that is doing so. Never rejects. */
  sweep(): Promise<void> {
    return this.sweepFrom(true);
  }

  private sweepFrom(isWhole: boolean): Promise<void> {
    this.round ??= this.sweepAll(isWhole).finally(() => {
      this.round = null;
    });
    return this.round;
  }

  // Followed as itself: what it writes concerns no reader, and must not make any wait for its replica.
  private async sweepAll(isWhole: boolean): Promise<void> {
    const itself = this.consistency.follower(() => 'sweeper', null);
    await this.consistency.follow(itself, async () => {
      for (const one of this.swept) one.beginRound(isWhole);
      for (let left = this.swept; left.length > 0;) left = await this.batchOfEach(left);
      for (const one of this.swept) if (!this.job.isStopped) await one.endRound();
    });
  }

  /** Gives the tables that have more. */
  private async batchOfEach(tables: readonly SweptTable[]): Promise<SweptTable[]> {
    const full: SweptTable[] = [];
    for (const one of tables) if (!this.job.isStopped && (await one.batch())) full.push(one);
    return full;
  }

  private sweptBy({ remove, ...expiring }: Declared, instance: unknown): SweptTable {
    return new SweptTable(expiring, remove?.bind(instance) ?? this.deleting(expiring), {
      db: this.db,
      transactions: this.transactions,
    });
  }

  private deleting(table: ExpiringTable): Remove {
    return (batch) =>
      this.transactions.run({ name: `Sweeper.${table.table}`, timeout: '5s', retry: 0 }, () =>
        removeExpired(this.db, table, batch),
      );
  }
}
