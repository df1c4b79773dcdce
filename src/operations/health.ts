import { Inject, Injectable, type OnApplicationShutdown, ServiceUnavailableException } from '@nestjs/common';
import { HealthCheckService, HealthIndicatorService } from '@nestjs/terminus';
import { type Config, DatabaseConfig } from '../config/config.ts';
import { replicasIn } from '../config/replicas.ts';
import { Databases } from '../database/databases.ts';
import { troubleOf } from '../database/trouble.ts';
import { DatabaseProbe, type DatabaseState } from './database-probe.ts';
import { Drain } from './drain.ts';

/** What a probe is answered with. */
export interface Health {
  readonly status: number;
  readonly report: { readonly status: string; readonly details?: object };
}

// Fixed words: nothing of the inside, such as an address, is told.
const words: Record<Exclude<DatabaseState, 'up' | 'unreachable'>, string> = {
  unknown: 'not asked yet',
  silent: 'does not answer in time',
  standby: 'is a standby',
  promoted: 'follows no primary',
};

/** What the three probes say. Each answers within a tenth of a second, and asks nothing of what serves requests. */
@Injectable()
export class HealthReports implements OnApplicationShutdown {
  private readonly probes: readonly DatabaseProbe[];

  constructor(
    @Inject(DatabaseConfig.KEY) { writeUrl, readUrl }: Config['database'],
    private readonly checks: HealthCheckService,
    private readonly indicators: HealthIndicatorService,
    private readonly databases: Databases,
    private readonly drain: Drain,
  ) {
    const replicas = readUrl === null ? [] : (replicasIn(readUrl) ?? []);
    this.probes = [
      new DatabaseProbe('primary', writeUrl, false),
      ...replicas.map(({ name, url }) => new DatabaseProbe(name, url, true)),
    ];
  }

  /** Does the process answer? Asks nobody: a restart mends no database. */
  live(): Health {
    return { status: 200, report: { status: 'ok' } };
  }

  /** Should requests be sent here? 503 while stopping; `degraded` (200) while a database is away or all connections are in use. */
  async ready(): Promise<Health> {
    const reached = this.probes.map((probe) => () => this.reach(probe));
    try {
      const report = await this.checks.check([() => this.serving(), ...reached, () => this.pool()]);
      return { status: 200, report };
    } catch (error) {
      if (!(error instanceof ServiceUnavailableException)) throw error;
      return { status: 503, report: error.getResponse() as Health['report'] };
    }
  }

  /** Has it started? It has once it can be asked here: the port answers 503 by itself until the primary had answered and the migrations were right. */
  async started(): Promise<Health> {
    const [primary] = this.probes;
    const reached = primary === undefined ? [] : [() => this.reach(primary)];
    return { status: 200, report: await this.checks.check(reached) };
  }

  onApplicationShutdown(): void {
    for (const probe of this.probes) probe.close();
  }

  private serving() {
    const serving = this.indicators.check('serving');
    return this.drain.isOn ? serving.down('stopping') : serving.up();
  }

  private pool() {
    const pool = this.indicators.check('pool');
    return this.databases.write.pool.hasPlace ? pool.up() : pool.degraded('full');
  }

  private async reach(probe: DatabaseProbe) {
    const state = await probe.state();
    const indicator = this.indicators.check(probe.name);
    if (state === 'up') return indicator.up();
    return indicator.degraded(state === 'unreachable' ? this.troubleOf(probe) : words[state]);
  }

  // The pool has been told why, or will be.
  private troubleOf({ name }: DatabaseProbe): string {
    const { write, replicas } = this.databases;
    return troubleOf([write, ...replicas].find((client) => client.name === name)?.pool.trouble ?? null);
  }
}
