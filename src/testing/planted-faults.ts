import { LoggableError, MisuseError } from '../kernel/loggable-error.ts';
import type { FaultPlan } from '../transactions/transactions.ts';
import { nameOf } from '../transactions/wire/statements.ts';
import type { Fault, Moment } from '../transactions/wire/planned-fault.ts';
import { cut, raised } from './faults.ts';

interface Target {
  /** The boundary that begins the transaction, as errors and logs name it: `OrdersService.place`. Default: any. */
  readonly boundary?: string;
  /** Which run of its work, from 1. Default: any. */
  readonly attempt?: number;
  /** How often it is met before it is gone; `Infinity` for each time, at least once. Default 1. */
  readonly times?: number;
}

interface AtStatement extends Target {
  /** Which statement, by its verb and table: `/^UPDATE stock$/`. Default: any. */
  readonly statement?: RegExp;
}

/** The server raises the SQLSTATE in place of the statement, or of COMMIT. */
type Raised = { readonly sqlState: string } & (
  ({ readonly at: 'statement' } & AtStatement) | ({ readonly at: 'commit' } & Target)
);

/** The connection breaks: before the statement reaches the server, before COMMIT does, or after COMMIT was carried out and before its answer. */
type Break =
  | ({ readonly at: 'before-statement-sent' } & AtStatement)
  | ({ readonly at: 'before-commit-sent' | 'after-commit-sent' } & Target);

/** What is to go wrong, and where. */
export type PlantedFault = Raised | Break;

/** A fault that was met. */
export interface MetFault {
  readonly at: PlantedFault['at'];
  readonly sqlState: string | null;
  readonly boundary: string;
  readonly attempt: number;
  /** Verb and table, `INSERT order`, or `COMMIT`. */
  readonly statement: string;
}

/** A fault that was planted and never met: the test has not tested what it says. */
export class FaultNotMetError extends LoggableError {
  override readonly name = 'FaultNotMetError';
}

interface Planted {
  readonly fault: PlantedFault;
  /** How often it is still to be met. */
  left: number;
  met: number;
}

interface Place {
  readonly boundary: string;
  readonly attempt: number;
  readonly moment: Moment;
  readonly statement: string;
}

const momentOf: Record<PlantedFault['at'], Moment> = {
  statement: 'statement',
  'before-statement-sent': 'statement',
  commit: 'commit',
  'before-commit-sent': 'commit',
  'after-commit-sent': 'answer',
};

/** The faults of a test: those that wait, and those that were met. */
export class PlantedFaults {
  private readonly planted: Planted[] = [];
  private readonly metFaults: MetFault[] = [];
  private readonly boundaries = new Set<string>();

  /** Those that were met, in their order. */
  get met(): readonly MetFault[] {
    return this.metFaults;
  }

  /** Whether one of them breaks a connection. */
  get hasBreak(): boolean {
    return this.planted.some(({ fault }) => isBreak(fault));
  }

  /** Throws TypeError for what is no SQLSTATE and for a number that is none of attempts or times. */
  add(fault: PlantedFault): void {
    refuseUnknown(fault);
    const { attempt = 1, times = 1 } = fault;
    if ('sqlState' in fault && !/^(?!00)[0-9A-Z]{5}$/.test(fault.sqlState))
      throw new MisuseError(
        `"${fault.sqlState}" is not the SQLSTATE of an error: it has five digits or capitals, as 40001.`,
      );
    const isCount = (number: number): boolean => Number.isSafeInteger(number) && number > 0;
    if (!isCount(attempt) || !(isCount(times) || times === Infinity))
      throw new MisuseError('Attempts and times are counted from 1.');
    this.planted.push({ fault, left: times, met: 0 });
  }

  /** What the core asks at every moment at which a fault can be planted. */
  readonly plan: FaultPlan = (boundary, attempt, moment, text): Fault | null => {
    this.boundaries.add(boundary);
    const place = { boundary, attempt, moment, statement: nameOf(text) };
    const planted = this.planted.find(({ fault }) => isThere(fault, place));
    if (planted === undefined) return null;
    planted.left--;
    planted.met++;
    if (planted.left === 0) this.planted.splice(this.planted.indexOf(planted), 1);
    const { fault } = planted;
    const sqlState = 'sqlState' in fault ? fault.sqlState : null;
    this.metFaults.push({ at: fault.at, sqlState, boundary, attempt, statement: place.statement });
    return sqlState === null ? cut : raised(sqlState);
  };

  /** Forgets all of them. Throws FaultNotMetError when one was not met as often as it was planted. */
  clear(): void {
    const unmet = this.planted.filter(({ left, met }) => left < Infinity || met === 0);
    const names = [...this.boundaries].join(', ') || 'none';
    this.planted.length = this.metFaults.length = 0;
    this.boundaries.clear();
    if (unmet.length > 0)
      throw new FaultNotMetError(
        `Planted and not met: ${unmet.map(described).join('; ')}. Boundaries that spoke to the database: ${names}.`,
      );
  }
}

const members: readonly string[] = ['at', 'sqlState', 'boundary', 'attempt', 'times', 'statement'];

// What is not read would be a fault that is met elsewhere than it says.
function refuseUnknown(fault: PlantedFault): void {
  const unknown = Object.keys(fault).find((member) => !members.includes(member));
  if (unknown !== undefined) throw new MisuseError(`A fault has no ${unknown}. There are ${members.join(', ')}.`);
  const places = Object.keys(momentOf);
  if (!places.includes(fault.at))
    throw new MisuseError(`No fault is planted at "${fault.at}". There are ${places.join(', ')}.`);
  if ('sqlState' in fault !== ['statement', 'commit'].includes(fault.at))
    throw new MisuseError(
      'A sqlState is raised at "statement" or "commit", and only there: the others break the connection.',
    );
  if ('statement' in fault && fault.statement !== undefined && !(fault.statement instanceof RegExp))
    throw new MisuseError('The statement of a fault is a regular expression, as /^UPDATE stock$/.');
}

export const isBreak = (fault: PlantedFault): boolean => !('sqlState' in fault);

function isThere(fault: PlantedFault, { boundary, attempt, moment, statement }: Place): boolean {
  return (
    momentOf[fault.at] === moment &&
    (fault.boundary ?? boundary) === boundary &&
    (fault.attempt ?? attempt) === attempt &&
    // `search` does not mind where an expression with the flag g was left.
    (!('statement' in fault) || fault.statement === undefined || statement.search(fault.statement) !== -1)
  );
}

function described({ fault, left }: Planted): string {
  const what = 'sqlState' in fault ? `${fault.sqlState} at ${fault.at}` : fault.at;
  const statement = 'statement' in fault && fault.statement !== undefined ? ` ${String(fault.statement)}` : '';
  const attempt = fault.attempt === undefined ? '' : `, attempt ${fault.attempt}`;
  return `${what}${statement} of ${fault.boundary ?? 'any boundary'}${attempt} (${left} left)`;
}
