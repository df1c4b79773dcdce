import { ClsServiceManager } from 'nestjs-cls';
import { MisuseError } from '../kernel/loggable-error.ts';
import type { CallSite } from './call-site.ts';
import { CommitOutcomeUnknownError, type SeparateWritesError } from './errors.ts';

/** A write that is stored by itself: a statement outside any boundary, or an outermost boundary. */
export interface StoredWrite {
  /** `order.delete`, or `OrdersService.place (order.create)`. */
  readonly what: string;
  readonly site: CallSite;
  readonly by: object;
}

/** What is stored together unless it says otherwise: all that one request, hook, job or command writes. */
export interface UnitOfWork {
  readonly name: string;
  /** The write that is stored, or under way. */
  stored: StoredWrite | null;
  isTold: boolean;
}

// Under this key the context holds its unit; null where separate writes are meant.
const UNIT = Symbol('unit of work');

function within<T>(unit: UnitOfWork | null, work: () => T): T {
  const cls = ClsServiceManager.getClsService();
  return cls.run({ ifNested: 'inherit' }, () => {
    cls.set(UNIT, unit);
    return work();
  });
}

/** The unit of this context; null where there is none, or nobody minds. */
export function unitOfContext(): UnitOfWork | null {
  const cls = ClsServiceManager.getClsService();
  return cls.isActive() ? (cls.get<UnitOfWork | null | undefined>(UNIT) ?? null) : null;
}

/**
 * Runs one turn of a job, or whatever else begins by itself: what it writes is to be stored by one boundary, or one statement, see
 * SEPARATE_WRITES. Requests, hooks and the commands of `tools/` are such units already. `name` is what errors and logs call it.
 */
export const unitOfWork = <T>(name: string, work: () => T): T => within({ name, stored: null, isTold: false }, work);

/**
 * Runs work that stores several writes one by one, where it is right that some of them stay when a later one fails. `reason` says to
 * whoever reads the code why. Throws TypeError when it is empty.
 */
export function allowSeparateWrites<T>(reason: string, work: () => T): T {
  if (reason.trim() === '') throw new MisuseError('allowSeparateWrites needs a reason.');
  return within(null, work);
}

/** A write that would be stored by itself, from its first statement on. */
export class SeparateWrite {
  /** Why it must not be stored, whatever its work makes of that. */
  refusal: SeparateWritesError | null = null;
  /** Nothing counts meanwhile. */
  isPaused = false;
  private isCounted = false;

  constructor(
    private readonly unit: UnitOfWork,
    private readonly found: (unit: UnitOfWork, first: StoredWrite, second: StoredWrite) => SeparateWritesError | null,
  ) {}

  /** Its first writing statement is about to be sent. Throws SeparateWritesError when the unit has stored something else. */
  begin(what: string, site: CallSite): void {
    if (this.isCounted || this.isPaused) return;
    this.isCounted = true;
    const write: StoredWrite = { what, site, by: this };
    this.refusal = this.unit.stored === null ? null : this.found(this.unit, this.unit.stored, write);
    this.unit.stored ??= write;
    if (this.refusal !== null) throw this.refusal;
  }

  /** Nothing of it is stored. */
  undone(): void {
    this.isCounted = false;
    if (this.unit.stored?.by === this) this.unit.stored = null;
  }
}

/** Runs what may be stored by itself, and notes when nothing of it is. */
export async function undoing<T>(separate: SeparateWrite | null, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (!(error instanceof CommitOutcomeUnknownError)) separate?.undone();
    throw error;
  }
}
