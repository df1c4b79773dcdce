/**
 * Gives a transaction that has only looked something up a WAL record of its own, so that its COMMIT waits for the synchronous standby as
 * a writing one does. PostgreSQL shows after a crash what its COMMIT was still waiting with, and a transaction without WAL waits for
 * nobody (PostgreSQL 18, RecordTransactionCommit in xact.c). Nothing is written where no standby is waited for.
 */
export const waitForStandby = `CASE WHEN current_setting('synchronous_standby_names') <> ''
  THEN pg_logical_emit_message(true, 'holdfast', '')::text END`;
