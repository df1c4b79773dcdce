import { Injectable } from '@nestjs/common';
import { Expiring } from '../retention/expiring.ts';
import { type FinalStatement, finalStatement } from '../transactions/participant.ts';
import { InjectDatabase, type Sql } from '../transactions/tables.ts';

/** A run as it was taken on: nobody else works on it until its lease is over. */
export interface LeasedRun {
  readonly id: string;
  readonly method: string;
  readonly arguments: Uint8Array;
  readonly phases: readonly Uint8Array[];
  /** Which of those who took it on this is. */
  readonly attempts: number;
}

/** By whom a run is held. */
export type Lease = Pick<LeasedRun, 'id' | 'attempts'>;

@Injectable()
@Expiring({ table: 'phased_run', end: 'expires_at' })
export class PhasedRunsRepository {
  // Sql: leases by the database's clock, taken and kept under conditions.
  constructor(@InjectDatabase() private readonly db: Sql) {}

  /** A new run, held by its first attempt. */
  async create(run: { id: string; method: string; arguments: Uint8Array; leaseMs: number }): Promise<void> {
    await this.db.$executeRaw`INSERT INTO phased_run (id, method, arguments, phases, leased_until)
      VALUES (${run.id}::uuid, ${run.method}, ${run.arguments}, '{}', statement_timestamp() + ${run.leaseMs} * interval '1 ms')`;
  }

  /** Takes it on; null when somebody else holds it, or it is done, or there is none. */
  async take(id: string, leaseMs: number): Promise<LeasedRun | null> {
    const [run] = await this.db.$queryRaw<LeasedRun[]>`UPDATE phased_run
      SET attempts = attempts + 1, leased_until = statement_timestamp() + ${leaseMs} * interval '1 ms'
      WHERE id = ${id}::uuid AND outcome IS NULL AND leased_until <= statement_timestamp()
      RETURNING id::text, method, arguments, phases, attempts`;
    return run ?? null;
  }

  /** Takes on at most so many that nobody holds and that were taken on less often than `mostAttempts`, longest waiting first. Who comes second to a row sees that its lease has begun. */
  takeNext(most: number, mostAttempts: number, leaseMs: number): Promise<LeasedRun[]> {
    return this.db.$queryRaw<LeasedRun[]>`UPDATE phased_run
      SET attempts = attempts + 1, leased_until = statement_timestamp() + ${leaseMs} * interval '1 ms'
      WHERE id IN (
        SELECT id FROM phased_run
        WHERE outcome IS NULL AND leased_until <= statement_timestamp() AND attempts < ${mostAttempts}
        ORDER BY leased_until LIMIT ${most})
        AND leased_until <= statement_timestamp()
      RETURNING id::text, method, arguments, phases, attempts`;
  }

  /** What it has come to; null while it is not done. */
  async findOutcome(id: string): Promise<Uint8Array | null> {
    const [run] = await this.db.$queryRaw<{ outcome: Uint8Array | null }[]>`
      SELECT outcome FROM phased_run WHERE id = ${id}::uuid`;
    return run?.outcome ?? null;
  }

  /** Stores a phase behind so many others and holds the run on. Missing is the place 0 where it is not held by this lease any more, at this phase. */
  addingPhase(lease: Lease, phase: Uint8Array, before: number, leaseMs: number): FinalStatement {
    return finalStatement('add_phase')`
      WITH added AS (
        UPDATE phased_run
        SET phases = array_append(phases, ${phase}::bytea), leased_until = statement_timestamp() + ${leaseMs}::int * interval '1 ms'
        WHERE id = ${lease.id}::uuid AND attempts = ${lease.attempts}::int AND outcome IS NULL AND cardinality(phases) = ${before}::int
        RETURNING 1)
      SELECT refuse_missing(CASE WHEN NOT EXISTS (SELECT FROM added) THEN ARRAY[0] END)`;
  }

  /** Holds it until so many milliseconds from now, which may be sooner than before. Whether this lease still holds it. */
  async extend(lease: Lease, leaseMs: number): Promise<boolean> {
    const changed = await this.db.$executeRaw`UPDATE phased_run
      SET leased_until = statement_timestamp() + ${leaseMs} * interval '1 ms'
      WHERE id = ${lease.id}::uuid AND attempts = ${lease.attempts} AND outcome IS NULL`;
    return changed === 1;
  }

  /** Stores what it has come to and forgets the rest. Whether it was still held by this lease. */
  async finish(lease: Lease, outcome: Uint8Array, keepSeconds: number): Promise<boolean> {
    const changed = await this.db.$executeRaw`UPDATE phased_run
      SET outcome = ${outcome}, arguments = NULL, phases = '{}',
          expires_at = statement_timestamp() + make_interval(secs => ${keepSeconds})
      WHERE id = ${lease.id}::uuid AND attempts = ${lease.attempts} AND outcome IS NULL`;
    return changed === 1;
  }
}
