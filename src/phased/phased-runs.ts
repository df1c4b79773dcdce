import { Inject, Injectable, Logger } from '@nestjs/common';
import type { Config } from '../config/config.ts';
import { PhasedConfig } from '../config/slices.ts';
import { newId } from '../kernel/ids.ts';
import { MisuseError } from '../kernel/loggable-error.ts';
import { RecoveryPoint } from '../transactions/participant.ts';
import { Transactions } from '../transactions/transactions.ts';
import { allowSeparateWrites } from '../transactions/unit-of-work.ts';
import { PhasedRunBusyError } from './errors.ts';
import { packed, refused, returned, settled, unpacked } from './outcome.ts';
import { PhaseRecorder } from './phase-recorder.ts';
import { currentRun, type PhasedMethod } from './phased.ts';
import { type LeasedRun, PhasedRunsRepository } from './phased-runs.repository.ts';

/** How long the outcome of a run is kept for those who ask for it again, seconds. */
const keepSeconds = 7 * 86_400;
const eachPhase = 'each phase is stored by itself, and the run is done to its end';
const firstPauseMs = 1000;
const longestPauseMs = 300_000;

/** Runs phased methods: begins a run, or goes on with one that was begun. */
@Injectable()
export class PhasedRuns {
  private readonly logger = new Logger('PhasedRuns');

  constructor(
    private readonly transactions: Transactions,
    private readonly runs: PhasedRunsRepository,
    @Inject(PhasedConfig.KEY) private readonly config: Config['phased'],
  ) {}

  /**
   * Calls the method as a run of its own; inside another run it is a part of that. Throws what the method throws, MisuseError inside a
   * boundary, and PhasedRunBusyError while another caller or the worker is at it.
   */
  async run(phased: PhasedMethod, service: object, args: unknown[]): Promise<unknown> {
    if (currentRun.getStore() !== undefined) return phased.work(service, args);
    const running = this.transactions.running();
    if (running !== null)
      throw new MisuseError(`${phased.name} is phased and must not run inside ${running.name}: call it outside.`);
    return allowSeparateWrites(eachPhase, async () => {
      const begun = await this.begin(phased, args);
      if (typeof begun !== 'string') return this.goOn(phased, service, begun);
      const run = await this.apart('PhasedRuns.take', () => this.runs.take(begun, this.config.leaseMs));
      return run === null ? this.outcomeOf(begun, phased) : this.goOn(phased, service, run);
    });
  }

  /** Takes on runs that nobody works on, at most so many. */
  takeNext(most: number, mostAttempts: number): Promise<LeasedRun[]> {
    const { leaseMs } = this.config;
    return this.transactions.run({ name: 'PhasedRuns.takeNext' }, () =>
      this.runs.takeNext(most, mostAttempts, leaseMs),
    );
  }

  /** Calls the method of a run that was taken on. Throws as `run` does. */
  goOn(phased: PhasedMethod, service: object, run: LeasedRun): Promise<unknown> {
    return allowSeparateWrites(eachPhase, () => this.toItsEnd(phased, service, run));
  }

  private async toItsEnd(phased: PhasedMethod, service: object, run: LeasedRun): Promise<unknown> {
    if (run.method !== phased.name)
      throw new MisuseError(
        `${phased.name} was asked to go on with ${run.method}: one phased method for each request.`,
      );
    const recorder = new PhaseRecorder(run, this.runs, this.config.leaseMs);
    const heartbeat = setInterval(() => this.hold(run), this.config.leaseMs / 3);
    try {
      const work = () => currentRun.run(run, () => phased.work(service, unpacked(run.arguments) as unknown[]));
      const value = await this.transactions.with(recorder, work);
      await this.finish(run, returned(`The result of ${phased.name}`, value));
      return value;
    } catch (error) {
      const refusal = refused(error);
      if (refusal !== null) await this.finish(run, refusal);
      else await this.release(run);
      throw error;
    } finally {
      clearInterval(heartbeat);
    }
  }

  // Under an Idempotency-Key the id is kept with the key, so that a repeat goes on with this run: then it is the id that comes back.
  private async begin(phased: PhasedMethod, args: unknown[]): Promise<LeasedRun | string> {
    const [id, method, bytes] = [newId(), phased.name, packed(`The arguments of ${phased.name}`, args)];
    const begun = await this.transactions.run<RecoveryPoint | string>({ name: 'PhasedRuns.begin' }, async () => {
      await this.runs.create({ id, method, arguments: bytes, leaseMs: this.config.leaseMs });
      return new RecoveryPoint(id);
    });
    return begun instanceof RecoveryPoint ? { id, method, arguments: bytes, phases: [], attempts: 1 } : begun;
  }

  private async outcomeOf(id: string, { name }: PhasedMethod): Promise<unknown> {
    const outcome = await this.apart('PhasedRuns.outcomeOf', () => this.runs.findOutcome(id));
    if (outcome === null) throw new PhasedRunBusyError(name);
    return settled(outcome);
  }

  private async finish(run: LeasedRun, outcome: Uint8Array): Promise<void> {
    const isOurs = await this.apart('PhasedRuns.finish', () => this.runs.finish(run, outcome, keepSeconds));
    if (!isOurs) throw new PhasedRunBusyError(run.method);
  }

  // Somebody may take it on again after a while, longer each time.
  private async release(run: LeasedRun): Promise<void> {
    const pauseMs = Math.min(longestPauseMs, firstPauseMs * 2 ** Math.min(run.attempts - 1, 20));
    await this.apart('PhasedRuns.release', () => this.runs.extend(run, pauseMs)).catch((error: unknown) =>
      this.logger.warn({ err: error, run: run.id }, 'a phased run is free again only when its lease is over'),
    );
  }

  private hold(run: LeasedRun): void {
    this.apart('PhasedRuns.hold', () => this.runs.extend(run, this.config.leaseMs)).catch((error: unknown) =>
      this.logger.warn({ err: error, run: run.id }, 'the lease of a phased run could not be extended'),
    );
  }

  /** A boundary that is no phase of the run, and no part of the request. */
  private apart<T>(name: string, work: () => Promise<T>): Promise<T> {
    return this.transactions.with(null, () => this.transactions.run({ name }, work));
  }
}
