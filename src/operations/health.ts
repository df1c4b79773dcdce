import { Inject, Injectable, type OnApplicationShutdown, ServiceUnavailableException } from '@nestjs/common';
import { HealthCheckService, HealthIndicatorService } from '@nestjs/terminus';
import type { Config } from '../config/config.ts';
import { DatabaseConfig } from '../config/slices.ts';
import { replicasIn } from '../config/replicas.ts';
import { DatabaseClients } from '../database/database-clients.ts';
import { MisuseError } from '../kernel/loggable-error.ts';
import { troubleOf } from '../transactions/wire/trouble.ts';
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
  private readonly added = new Map<string, () => string | null>();

  constructor(
    @Inject(DatabaseConfig.KEY) { writeUrl, readUrl }: Config['database'],
    private readonly checks: HealthCheckService,
    private readonly indicators: HealthIndicatorService,
    private readonly databases: DatabaseClients,
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
      const others = [...this.added].map(
        ([name, trouble]) =>
          () =>
            this.partOf(name, trouble()),
      );
      const report = await this.checks.check([() => this.serving(), ...reached, () => this.pool(), ...others]);
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

  /**
   * Adds a part of a module's own to the readiness: `trouble` gives what is wrong with it, which makes the report `degraded`, or null. It is
   * called for each probe, so it tells what is known already. Throws MisuseError where a part has the name.
   */
  add(name: string, trouble: () => string | null): void {
    if (this.added.has(name) || name === 'serving' || name === 'pool' || this.probes.some((one) => one.name === name))
      throw new MisuseError(`The readiness has a part ${name} already.`);
    this.added.set(name, trouble);
  }

  onApplicationShutdown(): void {
    for (const probe of this.probes) probe.close();
  }

  private serving() {
    const serving = this.indicators.check('serving');
    return this.drain.isOn ? serving.down('stopping') : serving.up();
  }

  private pool() {
    return this.partOf('pool', this.databases.write.pool.hasPlace ? null : 'full');
  }

  private partOf(name: string, trouble: string | null) {
    const indicator = this.indicators.check(name);
    return trouble === null ? indicator.up() : indicator.degraded(trouble);
  }

  private async reach(probe: DatabaseProbe) {
    const state = await probe.state();
    if (state === 'up') return this.partOf(probe.name, null);
    return this.partOf(probe.name, state === 'unreachable' ? this.troubleOf(probe) : words[state]);
  }

  // The pool has been told why, or will be.
  private troubleOf({ name }: DatabaseProbe): string {
    const { write, replicas } = this.databases;
    return troubleOf([write, ...replicas].find((client) => client.name === name)?.pool.trouble ?? null);
  }
}
