import { currentTransaction } from '../transactions/current.ts';
import { type FinalStatement, Substitute, type TransactionParticipant } from '../transactions/participant.ts';
import { PhaseOrderError, PhasedRunBusyError } from './errors.ts';
import { packed, unpacked } from './outcome.ts';
import type { LeasedRun, PhasedRunsRepository } from './phased-runs.repository.ts';

interface Phase {
  readonly name: string;
  readonly value: unknown;
}

/** Stores each phase of a run with its boundary, and gives the result of one that is stored instead of running it again. */
export class PhaseRecorder implements TransactionParticipant {
  // A phase is stored with the place that it has in its run: in a boundary of its own.
  readonly group = null;
  readonly name: string;
  private readonly stored: Phase[];
  private next = 0;
  private latest: Phase | null = null;
  private turn: Promise<unknown> = Promise.resolve();

  constructor(
    private readonly run: LeasedRun,
    private readonly runs: PhasedRunsRepository,
    private readonly leaseMs: number,
  ) {
    this.name = `phased run ${run.id}`;
    this.stored = run.phases.map((bytes) => unpacked(bytes) as Phase);
  }

  inUse(): PhasedRunBusyError {
    return new PhasedRunBusyError(this.run.method);
  }

  firstStatement(): null {
    return null;
  }

  toBeAsked(): void {
    // It always is.
  }

  // Async, as a participant's is.
  async begin(): Promise<Substitute | null> {
    const phase = this.stored[this.next];
    if (phase === undefined) return null;
    const name = currentTransaction()?.name ?? '';
    if (phase.name !== name) throw new PhaseOrderError(this.run.method, this.next + 1, phase.name, name);
    this.latest = phase;
    return new Substitute(() => phase.value);
  }

  /** Refused where somebody else has taken the run over. */
  finalStatement(value: unknown): FinalStatement {
    const phase = { name: currentTransaction()?.name ?? '', value };
    const bytes = packed(`The result of ${phase.name}`, phase);
    this.latest = phase;
    return this.runs.addingPhase(this.run, bytes, this.next, this.leaseMs);
  }

  committed(): void {
    if (this.latest !== null) this.stored[this.next++] = this.latest;
    this.latest = null;
  }

  inTurn<T>(boundary: () => Promise<T>): Promise<T> {
    const result = this.turn.then(boundary);
    this.turn = result.catch(() => undefined);
    return result;
  }
}
