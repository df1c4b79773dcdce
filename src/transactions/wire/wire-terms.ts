import type { FirstStatement } from './first-statement.ts';
import type { Fault, Moment } from './planned-fault.ts';

/** What a transaction is told before it begins. */
export interface WireTerms {
  /** It only reads: it has no id, no outcome to ask for, no position. */
  readonly readOnly: boolean;
  /** What opens it: BEGIN and the settings. Asked for when the first statement is sent. */
  readonly opening: () => readonly string[];
  /** What leaves with the first statement, behind what opens it; null where there is nothing of the kind, and once it has left. */
  first: FirstStatement | null;
  /** When its time is over, as `performance.now()` counts. */
  readonly endsAt: number;
  /** It asked for this time, so that a statement may last longer than the connection is set to. */
  readonly hasOwnTime: boolean;
  /** How long a statement may wait for a lock, milliseconds; null for what the connection is set to. */
  readonly lockTimeoutMs: number | null;
  /** Ask for the position in the WAL behind COMMIT. */
  readonly asksPosition: boolean;
  /** For tests: a fault to plant at this moment. */
  readonly fault?: (moment: Moment, text: string) => Fault | null;
}
