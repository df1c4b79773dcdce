import type { ServerLimits } from '../transactions/wire/connection.ts';

// What a boundary sets for itself. A savepoint that is rolled back takes it back, one that is released does not.
const settings = ['application_name', 'statement_timeout', 'lock_timeout'];
// No limit may end the session of the whole test.
const outOfPlace = /^SET LOCAL (?:transaction_timeout|idle_in_transaction_session_timeout) = /;

const stash = (setting: string, depth: number): string => `holdfast.${setting}_${depth}`;

/** What opens a transaction, as it opens a savepoint in the transaction of a test, which keeps its level. */
export function pinnedOpening(
  [begin = '', ...asked]: readonly string[],
  savepoint: string,
  depth: number,
  { statement_timeout, lock_timeout }: ServerLimits,
): string[] {
  const keep = settings.map((name) => `set_config('${stash(name, depth)}', current_setting('${name}'), true)`);
  return [
    `SAVEPOINT ${savepoint}`,
    `SELECT ${keep.join(', ')}`,
    // What a connection of its own would be set to.
    `SET LOCAL statement_timeout = ${statement_timeout}`,
    `SET LOCAL lock_timeout = ${lock_timeout}`,
    ...(begin.endsWith('READ ONLY') ? ['SET TRANSACTION READ ONLY'] : []),
    ...asked.filter((line) => !outOfPlace.test(line)),
  ];
}

/** What takes the settings back to those around it. */
export const restoredSettings = (depth: number): string =>
  `SELECT ${settings.map((name) => `set_config('${name}', current_setting('${stash(name, depth)}'), true)`).join(', ')}`;
