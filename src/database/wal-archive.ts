/** Something that can run a statement: a client of pg. */
interface Queryable {
  query<Row>(sql: string): Promise<{ rows: Row[] }>;
}

/** What the server's last try to archive its write-ahead log has failed with. */
export interface ArchiveFailure {
  readonly segment: string;
  /** Null where nothing was archived yet. */
  readonly lastArchivedAt: Date | null;
}

/** `off`: it is not meant to be archived. `archived`: so far as it is known. */
export type ArchiveState = 'off' | 'archived' | ArchiveFailure;

/** Whether the server archives its write-ahead log (`pg_stat_archiver`), which every role may ask. */
export async function askArchive(database: Queryable): Promise<ArchiveState> {
  const { rows } = await database.query<ArchiveFailure & { isOn: boolean; isFailing: boolean }>(
    `SELECT current_setting('archive_mode') <> 'off' AS "isOn",
       coalesce(last_failed_time > coalesce(last_archived_time, '-infinity'), false) AS "isFailing",
       last_failed_wal AS segment, last_archived_time AS "lastArchivedAt" FROM pg_stat_archiver`,
  );
  const [
    { isOn, isFailing, segment, lastArchivedAt } = { isOn: false, isFailing: false, segment: '', lastArchivedAt: null },
  ] = rows;
  if (!isOn) return 'off';
  return isFailing ? { segment, lastArchivedAt } : 'archived';
}
