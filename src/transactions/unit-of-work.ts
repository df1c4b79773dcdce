import { ClsServiceManager } from 'nestjs-cls';
import { MisuseError } from '../kernel/loggable-error.ts';
import type { CallSite } from './boundary/call-site.ts';
import { CommitOutcomeUnknownError, type SeparateWritesError } from './errors.ts';

/** A write that commits separately: a statement outside a boundary, or an outermost boundary. */
export interface StoredWrite {
  /** `order.delete`, or `OrdersService.place (order.create)`. */
  readonly what: string;
  readonly site: CallSite;
  readonly by: object;
}

/** The writes that should share one commit: those of one request, hook, job or command. */
export interface UnitOfWork {
  readonly name: string;
  /** The write that was committed, or is running. */
  stored: StoredWrite | null;
  isTold: boolean;
}

// The key of the unit in the context; its value is null where separate writes are allowed.
const UNIT = Symbol('unit of work');

function within<T>(unit: UnitOfWork | null, work: () => T): T {
  const cls = ClsServiceManager.getClsService();
  return cls.run({ ifNested: 'inherit' }, () => {
    cls.set(UNIT, unit);
    return work();
  });
}

/** The unit of this context; null if there is none, or if separate writes are allowed. */
export function unitOfContext(): UnitOfWork | null {
  const cls = ClsServiceManager.getClsService();
  return cls.isActive() ? (cls.get<UnitOfWork | null | undefined>(UNIT) ?? null) : null;
}

/**
 * Runs one turn of a job, or other work that starts by itself, as a unit: it should write with one boundary or one statement, see
 * SEPARATE_WRITES. Requests, hooks and the commands of `tools/` are units already. `name` identifies it in errors and logs.
 */
export const unitOfWork = <T>(name: string, work: () => T): T => within({ name, stored: null, isTold: false }, work);

/**
 * Runs work that commits several writes separately, where earlier ones should stay if a later one fails. `reason` explains that to
 * readers of the code. Throws TypeError when it is empty.
 */
export function allowSeparateWrites<T>(reason: string, work: () => T): T {
  if (reason.trim() === '') throw new MisuseError('allowSeparateWrites needs a reason.');
  return within(null, work);
}

/** A write that would commit separately, from its first statement on. */
export class SeparateWrite {
  /** Why it must not commit, even if its work swallows this error. */
  refusal: SeparateWritesError | null = null;
  /** While true, no write is counted. */
  isPaused = false;
  private isCounted = false;

  constructor(
    private readonly unit: UnitOfWork,
    private readonly found: (unit: UnitOfWork, first: StoredWrite, second: StoredWrite) => SeparateWritesError | null,
  ) {}

  /** Called before its first writing statement is sent. Throws SeparateWritesError if the unit has committed another write. */
  begin(what: string, site: CallSite): void {
    if (this.isCounted || this.isPaused) return;
    this.isCounted = true;
    const write: StoredWrite = { what, site, by: this };
    this.refusal = this.unit.stored === null ? null : this.found(this.unit, this.unit.stored, write);
    this.unit.stored ??= write;
    if (this.refusal !== null) throw this.refusal;
  }

  /** Called when nothing of it was committed. */
  undone(): void {
    this.isCounted = false;
    if (this.unit.stored?.by === this) this.unit.stored = null;
  }
}

/** Runs a write that may commit separately, and uncounts it if it fails. */
export async function undoing<T>(separate: SeparateWrite | null, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (!(error instanceof CommitOutcomeUnknownError)) separate?.undone();
    throw error;
  }
}
