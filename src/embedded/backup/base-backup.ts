import type { Connection, Submittable } from 'pg';
import { PlainClient } from '../../transactions/wire/plain-client.ts';
import { ClusterError } from '../problems.ts';

/** What PostgreSQL's command BASE_BACKUP sends, as it comes in. */
export interface BackupSink {
  /** Of the tar archive of the data folder, its write-ahead log included. */
  archive(piece: Buffer): void;
  /** Of the manifest that the server makes, in the format of pg_basebackup. */
  manifest(piece: Buffer): void;
}

export interface Positions {
  readonly start: string;
  readonly end: string;
  readonly timeline: number;
}

// The slot keeps the log since before the copy; it ends with the session. WAL: what is needed to bring the copy to the state at its end; with it nothing has to
// wait for an archive, which may be out of order.
const SLOT = `CREATE_REPLICATION_SLOT "backup_%" TEMPORARY PHYSICAL (RESERVE_WAL)`;
const COMMAND = `BASE_BACKUP (LABEL 'holdfast', CHECKPOINT 'fast', WAL true, WAIT false, MANIFEST 'yes', MANIFEST_CHECKSUMS 'SHA256')`;

/** A connection that speaks PostgreSQL's replication protocol. */
class ReplicationClient extends PlainClient {
  constructor(url: string) {
    super(url, { application_name: 'holdfast backup', connectionTimeoutMillis: 10_000, keepAlive: true });
    const { connectionParameters } = this as unknown as { connectionParameters: object };
    Object.assign(connectionParameters, { replication: 'true' });
  }
}

/** Has the server send a base backup of itself. Throws ClusterError and what the way to it says. */
export async function takeBaseBackup(replicationUrl: string, sink: BackupSink): Promise<Positions> {
  const client = new ReplicationClient(replicationUrl);
  client.on('error', () => undefined);
  await client.connect();
  try {
    await client.query(SLOT.replace('%', String(process.pid)));
    return await new Promise<Positions>((resolve, reject) => {
      client.query(new BaseBackup(sink, resolve, (error) => reject(explained(error))));
    });
  } finally {
    await client.end().catch(() => undefined);
  }
}

/** Its rows come in three results: where it starts, the tablespaces, where it ends; the data come between the last two. */
class BaseBackup implements Submittable {
  readonly #sink: BackupSink;
  readonly #done: (positions: Positions) => void;
  readonly #failed: (error: Error) => void;
  readonly #positions: string[][] = [];
  #isManifest = false;
  #isOver = false;

  constructor(sink: BackupSink, done: (positions: Positions) => void, failed: (error: Error) => void) {
    this.#sink = sink;
    this.#done = done;
    this.#failed = failed;
  }

  submit(connection: Connection): void {
    connection.query(COMMAND);
  }

  handleRowDescription(): void {
    return;
  }

  handleCommandComplete(): void {
    return;
  }

  handleDataRow({ fields }: { fields: (string | null)[] }): void {
    const [first, second] = fields;
    // Of the data folder itself the row has neither a number nor a place.
    if (fields.length === 3 && first !== null)
      this.#fail(new ClusterError(`The database has a tablespace in ${second ?? '?'}, which a backup cannot hold.`));
    if (fields.length === 2) this.#positions.push(fields.map((field) => field ?? ''));
  }

  handleCopyData({ chunk }: { chunk: Buffer }, connection: Connection): void {
    if (this.#isOver) return;
    try {
      this.#receive(String.fromCharCode(chunk[0] ?? 0), chunk.subarray(1));
    } catch (error) {
      this.#fail(error as Error);
      connection.stream.destroy();
    }
  }

  handleReadyForQuery(): void {
    const [[start = '', timeline = ''] = [], [end = ''] = []] = this.#positions;
    if (!this.#isOver) this.#done({ start, end, timeline: Number(timeline) });
  }

  handleError(error: Error): void {
    this.#fail(error);
  }

  /** Kinds of a message: a new archive (its name), the manifest begins, data of whichever it is, progress. */
  #receive(kind: string, piece: Buffer): void {
    if (kind === 'm') this.#isManifest = true;
    else if (kind === 'd' && this.#isManifest) this.#sink.manifest(piece);
    else if (kind === 'd') this.#sink.archive(piece);
  }

  #fail(error: Error): void {
    if (!this.#isOver) this.#failed(error);
    this.#isOver = true;
  }
}

/**
 * 57P01: the server ends a session whose slot holds back more of the log than it may. It says nothing at all where we were slower to read than it to
 * send, as no room is left for a word.
 */
function explained(error: Error): Error {
  const isEnded =
    (error as { code?: string }).code === '57P01' || error.message === 'Connection terminated unexpectedly';
  if (!isEnded) return error;
  return new ClusterError(
    'The server ended the backup: it stops, or more was written meanwhile than it keeps of its log (max_slot_wal_keep_size). Make the backup when less is written.',
    { cause: error },
  );
}
