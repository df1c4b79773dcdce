import { databaseFailure } from './postgres-errors.ts';

// PostgreSQL's own words for what is not in the language of the server: elog() is not translated, and no translation renames a function.
const gone = /^(?:cache lookup failed|could not open relation|could not find tuple)/;
const planCheck = 'RevalidateCachedQuery';
// insufficient_privilege is asked anew each time.
const changeable = /^42(?!501)/;

/**
 * Whether a statement was refused for what its session remembers of it. `wasPrepared`: it was parsed on this connection before, when the
 * server took it, so that what is wrong with it now has changed since.
 */
export function isStale(error: unknown, wasPrepared: boolean): boolean {
  const { sqlState } = databaseFailure(error) ?? { sqlState: '' };
  const { routine = '', message = '' } = error as { routine?: string; message?: string };
  if (sqlState === '26000' || sqlState === '42P05') return true;
  if (sqlState === '0A000') return routine === planCheck;
  if (sqlState === 'XX000') return gone.test(message);
  return wasPrepared && changeable.test(sqlState);
}
