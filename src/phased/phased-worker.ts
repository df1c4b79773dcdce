import {
  type BeforeApplicationShutdown,
  Inject,
  Injectable,
  Logger,
  type OnApplicationBootstrap,
  type OnModuleInit,
} from '@nestjs/common';
import { DiscoveryService } from '@nestjs/core';
import type { Config } from '../config/config.ts';
import { PhasedConfig } from '../config/slices.ts';
import { MisuseError } from '../kernel/loggable-error.ts';
import { PeriodicJob } from '../operations/periodic-job.ts';
import { allowSeparateWrites } from '../transactions/unit-of-work.ts';
import { PhasedRunBusyError } from './errors.ts';
import { type PhasedMethod, phasedMethodsOf } from './phased.ts';
import { PhasedRuns } from './phased-runs.ts';
import type { LeasedRun } from './phased-runs.repository.ts';

/** How many runs an instance goes on with at a time. */
const atOnce = 4;
/** A run that was taken on so often is left to people: the log has said why each time. */
const mostAttempts = 30;

interface Placed {
  readonly phased: PhasedMethod;
  readonly service: object;
}

/** Goes on with phased runs whose caller is gone. Every instance does; one that somebody is at work on is passed over by the others. */
@Injectable()
export class PhasedWorker implements OnModuleInit, OnApplicationBootstrap, BeforeApplicationShutdown {
  private readonly logger = new Logger(PhasedWorker.name);
  private readonly methods = new Map<string, Placed>();
  private readonly job = new PeriodicJob(PhasedWorker.name, () =>
    allowSeparateWrites('each run is taken on by itself', () => this.work()),
  );

  constructor(
    private readonly discovery: DiscoveryService,
    private readonly runs: PhasedRuns,
    @Inject(PhasedConfig.KEY) private readonly config: Config['phased'],
  ) {}

  /** Throws where two phased methods have one name: a run could not be given to the right one. */
  onModuleInit(): void {
    const services = new Set(this.discovery.getProviders().map((provider) => provider.instance as object));
    for (const service of services) for (const phased of phasedMethodsOf(service)) this.add(phased, service);
  }

  onApplicationBootstrap(): void {
    if (this.config.workerIntervalMs > 0 && this.methods.size > 0) this.job.start(this.config.workerIntervalMs);
  }

  /** Waits for the runs in hand; what they do not come to is gone on with elsewhere, or after the next start. */
  async beforeApplicationShutdown(): Promise<void> {
    await this.job.stop();
  }

  /** Goes on with all runs that nobody works on by now. Never rejects. */
  async work(): Promise<void> {
    try {
      for (let taken = atOnce; taken === atOnce && !this.job.isStopped;) {
        const runs = await this.runs.takeNext(atOnce, mostAttempts);
        await Promise.all(runs.map((run) => this.goOn(run)));
        taken = runs.length;
      }
    } catch (error) {
      // The next round does it.
      this.logger.warn({ err: error }, 'phased runs could not be taken on');
    }
  }

  private add(phased: PhasedMethod, service: object): void {
    if (this.methods.has(phased.name))
      throw new MisuseError(`Two phased methods are called ${phased.name}. Give one of them a name of its own.`);
    this.methods.set(phased.name, { phased, service });
  }

  private async goOn(run: LeasedRun): Promise<void> {
    const placed = this.methods.get(run.method);
    if (placed === undefined) {
      this.logger.error({ run: run.id, method: run.method }, 'a phased run belongs to a method that is not there');
      return;
    }
    try {
      await this.runs.goOn(placed.phased, placed.service, run);
    } catch (error) {
      if (error instanceof PhasedRunBusyError) return;
      this.logger.error(
        { err: error, run: run.id, method: run.method, attempts: run.attempts },
        'a phased run has failed',
      );
    }
  }
}
