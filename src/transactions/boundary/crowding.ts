import { Inject, Injectable } from '@nestjs/common';
import type { Config } from '../../config/config.ts';
import { DatabaseConfig } from '../../config/slices.ts';
import { RowBusyError } from '../errors.ts';
import { Consistency } from '../reads/consistency.ts';
import { PoolTimeoutError } from '../wire/errors.ts';
import { attemptFailed } from './channels.ts';
import { KeyedGate } from './keyed-gate.ts';

// How long a boundary waits for its turn at a row with its connection in hand: much longer than a row is held that nobody waits for in vain.
const patienceMs = 50;

/** How many connections of a pool may be given to what at most. With fewer than four there is nothing to keep free. */
export const sharesOf = (poolSize: number) => ({
  /** Hold the same row, or wait for it: one that works and two that go on at once behind it. */
  perRow: Math.max(1, Math.min(3, poolSize - 2)),
  /** Wait for rows, whichever: the rest is for work that waits for none. */
  waiting: Math.max(1, poolSize - Math.max(1, Math.floor(poolSize / 4))),
  /** Work for the same caller. */
  perCaller: Math.max(1, Math.ceil(poolSize / 2)),
});

/** The terms of a boundary on which it waits. */
export interface Patience {
  readonly name: string;
  /** As `performance.now()` counts. */
  readonly endsAt: number;
  /** How long it may wait for a row, milliseconds; null for DATABASE_LOCK_TIMEOUT_MS. */
  readonly lockWaitMs: number | null;
  /** Whether its work may be run again: then it waits without a connection. */
  readonly givesWay: boolean;
  readonly readOnly: boolean;
}

interface Gates {
  readonly rows: KeyedGate;
  readonly waiting: KeyedGate;
  readonly callers: KeyedGate;
}

/**
 * Keeps the pool from being used up by few: by those who wait for one row, by those who wait for rows at all, by one caller. A boundary that
 * finds its row crowded is rolled back, waits for a place without a connection, and is run again.
 */
@Injectable()
export class Crowding {
  private readonly gates: Gates;

  constructor(
    private readonly consistency: Consistency,
    @Inject(DatabaseConfig.KEY) private readonly config: Config['database'],
  ) {
    const { perRow, waiting, perCaller } = sharesOf(config.poolSize);
    this.gates = { rows: new KeyedGate(perRow), waiting: new KeyedGate(waiting), callers: new KeyedGate(perCaller) };
  }

  /** Those of a boundary that begins; inside another one they are that one's. */
  places(outer: object | null, patience: Patience): RowPlaces {
    const taken = outer === null ? undefined : placesOf(outer);
    if (taken !== undefined) return taken;
    const { poolWaitMs: waitMs, lockTimeoutMs } = this.config;
    const caller = patience.readOnly ? null : this.consistency.caller();
    const share = caller === null ? null : { caller, waitMs };
    return new RowPlaces(this.gates, { ...patience, lockWaitMs: patience.lockWaitMs ?? lockTimeoutMs }, share);
  }
}

const known = new WeakMap<object, RowPlaces>();

/** The places of the boundary that began with this. */
export const placesOf = (beginning: object): RowPlaces | undefined => known.get(beginning);

/** What a boundary has been let in to, with all its attempts. */
export class RowPlaces {
  /** Why the running attempt cannot go on. */
  busy: RowBusyError | null = null;
  private readonly held = new Set<string>();
  private isRunning = false;
  // Of locks that were asked for together, which wait as one.
  private waits = 0;

  constructor(
    private readonly gates: Gates,
    private readonly patience: Patience & { readonly lockWaitMs: number },
    private readonly share: { readonly caller: string; readonly waitMs: number } | null,
  ) {}

  /** From now on the places are found by what this attempt began with. */
  belongTo(beginning: object): void {
    known.set(beginning, this);
  }

  /**
   * Before rows are waited for; what is given back ends the wait. Throws RowBusyError when too many wait for one of them already: the attempt
   * is over then.
   */
  async wait(table: string, ids: readonly string[]): Promise<() => void> {
    const waitMs = this.patience.givesWay ? patienceMs : Math.min(this.patience.lockWaitMs, this.left());
    for (const id of [...ids].sort()) {
      const key = `${table} ${id}`;
      if (this.held.has(key)) continue;
      if (!(await this.gates.rows.enter(key, waitMs))) throw this.isBusy(table, key);
      this.held.add(key);
    }
    if (this.waits === 0 && !(await this.gates.waiting.enter('', waitMs))) throw this.isBusy(table, null);
    this.waits++;
    return () => {
      if (--this.waits === 0) this.gates.waiting.leave('');
    };
  }

  /** Runs the attempt, again and again while it gives way and then gets a place in time. */
  async run<T>(attempt: () => Promise<T>): Promise<T> {
    if (this.isRunning) return attempt();
    this.isRunning = true;
    return this.again(attempt).finally(() => {
      this.isRunning = false;
    });
  }

  private async again<T>(attempt: () => Promise<T>): Promise<T> {
    for (;;) {
      const [outcome] = await Promise.allSettled([this.asCaller(attempt)]);
      if (outcome.status === 'fulfilled') return outcome.value;
      await this.giveWay(outcome.reason as Error);
    }
  }

  /** Lets others in. The boundary is over. */
  leave(): void {
    if (this.isRunning) return;
    for (const key of this.held) this.gates.rows.leave(key);
    this.held.clear();
  }

  /** Waits for the place that was lacking. Throws what the attempt failed with when it does not come, or was not what it failed for. */
  private async giveWay(error: Error): Promise<void> {
    const busy = this.busy;
    this.busy = null;
    if (busy === null || error !== busy || !this.patience.givesWay) throw error;
    if (!(await this.gotPlace(busy.row)) || this.left() <= 0) throw error;
    if (attemptFailed.hasSubscribers) attemptFailed.publish({ name: this.patience.name, attempt: 1, error });
  }

  /**
   * Waits for it to the end of the boundary's time: without a connection in hand it is in nobody's way. One that comes too late is held too, so
   * that `leave` gives it back.
   */
  private async gotPlace(row: string | null): Promise<boolean> {
    const { rows, waiting } = this.gates;
    const isIn = await (row === null ? waiting.enter('', this.left()) : rows.enter(row, this.left()));
    if (isIn && row === null) waiting.leave('');
    if (isIn && row !== null) this.held.add(row);
    return isIn;
  }

  // Only while the attempt runs: who waits for a row without a connection keeps nobody from one.
  private async asCaller<T>(attempt: () => Promise<T>): Promise<T> {
    const { share } = this;
    if (share === null) return attempt();
    if (!(await this.gates.callers.enter(share.caller, Math.min(share.waitMs, this.left()))))
      throw new PoolTimeoutError(share.waitMs);
    return attempt().finally(() => {
      this.gates.callers.leave(share.caller);
    });
  }

  private isBusy(table: string, row: string | null): RowBusyError {
    return (this.busy = new RowBusyError(table, row));
  }

  private left(): number {
    return this.patience.endsAt - performance.now();
  }
}
