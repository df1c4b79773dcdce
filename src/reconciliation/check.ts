import { MisuseError } from '../kernel/loggable-error.ts';

/** One thing that must be true of the books. */
export interface Check {
  /** What a finding is called: for people, and for tests, which look for it by name. Never changed without need. */
  readonly mistake: string;
  /** The table whose rows are looked at. */
  readonly table: string;
  /** A statement that gives the `id` of every row that breaks it, as text. */
  readonly wrong: string;
}

// Like the registry of zod: what is defined is known for as long as the process lives.
const defined = new Map<string, Check>();

/**
 * Defines what must be true of the tables of a module. Each check stands by itself and asks the tables, not the service and not the triggers: it
 * must see what got past them. The module's `*.module.ts` imports the file, which is all that it takes for `npm run reconcile` and the tests to
 * ask it. Throws when another check has the same name.
 */
export function defineChecks(checks: readonly Check[]): void {
  for (const check of checks) {
    if (defined.has(check.mistake)) throw new MisuseError(`The check "${check.mistake}" is defined twice.`);
    defined.set(check.mistake, check);
  }
}

/** The checks of all modules that were loaded, as they were. Throws without any: nothing would be found. */
export function allChecks(): readonly Check[] {
  if (defined.size === 0) throw new MisuseError('No check is defined: load the modules, as src/app.module.ts does.');
  return [...defined.values()];
}
