import { setTimeout as sleep } from 'node:timers/promises';
import { Client, type Pool, type PoolClient } from 'pg';

// Whoever asks for a table waits behind a migration that waits for it: it gives up soon, and lets them through.
const LOCK_TIMEOUT_MS = 2000;
const FIRST_PAUSE_MS = 500;
const LONGEST_PAUSE_MS = 10_000;
const FIRST_LOOK_MS = 50;
const LOOK_EVERY_MS = 200;

/** What PostgreSQL runs outside a transaction, or may commit in between: a part of it may be there when it fails. */
const notInOne = /\b(concurrently|call|vacuum)\b|\bdo\b[\s\S]*\bcommit\b/i;
const commits = /^(COMMIT|PREPARE TRANSACTION)\b/;

interface Holder {
  readonly pid: number;
  readonly role: string | null;
  readonly program: string | null;
  /** Of its transaction; null where our role may not see that. */
  readonly seconds: number | null;
  readonly table: string | null;
}

/** A migration did not get a lock, and nothing of it is left. */
export class LockHeldError extends Error {
  override readonly name = 'LockHeldError';
  readonly #words: string;

  constructor(holders: readonly Holder[], waitedMs: number, cause: unknown) {
    const words = wordsOf(holders, waitedMs);
    super(`The migration ${words}`, { cause });
    this.#words = words;
  }

  sentence(migration: string): string {
    return `The migration ${migration} ${this.#words}`;
  }
}

export interface Patience {
  /** How long a script that gives up is run again. */
  readonly waitMs: number;
  /** Told in a line when it has given up for the first time. */
  readonly onWait: (line: string) => void;
}

/** Runs the scripts of migrations on a session: one that does not get a lock soon gives up, and is run again after a growing pause. */
export class LockGuard {
  readonly #pool: Pool;
  readonly #url: string;
  readonly #patience: Patience;
  #hasCommitted = false;

  /** `pool`: of one connection. */
  constructor(pool: Pool, url: string, patience: Patience) {
    this.#pool = pool;
    this.#url = url;
    this.#patience = patience;
    pool.on('connect', (client) => this.#listen(client));
  }

  /** Throws LockHeldError, and what `execute` throws. */
  async run(sql: string, execute: () => Promise<void>): Promise<void> {
    // It blocks nobody while it waits, and what it has built would have to be taken away.
    if (notInOne.test(sql)) return execute();
    await this.#pool.query(`SET lock_timeout = ${LOCK_TIMEOUT_MS}`);
    const watch = await Watch.begin(this.#pool, this.#url);
    try {
      await this.#attempts(execute, watch);
    } finally {
      await watch.end();
      await this.#pool.query('RESET lock_timeout').catch(() => undefined);
    }
  }

  async #attempts(execute: () => Promise<void>, watch: Watch): Promise<void> {
    const { waitMs, onWait } = this.#patience;
    const begunAt = performance.now();
    for (let pauseMs = FIRST_PAUSE_MS; ; pauseMs = Math.min(2 * pauseMs, LONGEST_PAUSE_MS)) {
      const failure = await this.#attempt(execute);
      if (failure === null) return;
      const waitedMs = performance.now() - begunAt;
      if (waitedMs + pauseMs > waitMs) throw new LockHeldError(watch.holders(), waitedMs, failure);
      if (pauseMs === FIRST_PAUSE_MS)
        onWait(`${heldBy(watch.holders())} It is tried again for ${Math.round(waitMs / 1000)} s.`);
      await sleep(pauseMs);
    }
  }

  /** Gives the failure of a script that did not get a lock and of which nothing is left; throws any other. */
  async #attempt(execute: () => Promise<void>): Promise<unknown> {
    this.#hasCommitted = false;
    try {
      await execute();
      return null;
    } catch (error) {
      if (sqlStateOf(error) !== '55P03' || this.#hasCommitted) throw error;
      // Of its own BEGIN; without one there is nothing to roll back.
      await this.#pool.query('ROLLBACK');
      return error;
    }
  }

  /** PostgreSQL runs a script in one transaction, unless that says otherwise: then it tells so as it goes. */
  #listen(client: PoolClient): void {
    const { connection } = client as unknown as { connection: NodeJS.EventEmitter };
    connection.on('commandComplete', ({ text }: { text: string }) => {
      if (commits.test(text)) this.#hasCommitted = true;
    });
  }
}

/** Looks from another connection who holds up the session. */
class Watch {
  readonly #client: Client;
  readonly #pid: number;
  readonly #end = new AbortController();
  #looking: Promise<void> = Promise.resolve();
  #seen: readonly Holder[] = [];

  static async begin(pool: Pool, url: string): Promise<Watch> {
    const { rows } = await pool.query<{ pid: number }>('SELECT pg_backend_pid() AS pid');
    const client = new Client({ connectionString: url, connectionTimeoutMillis: LOCK_TIMEOUT_MS });
    client.on('error', () => undefined);
    const watch = new Watch(client, rows[0]?.pid ?? 0);
    watch.#looking = watch.#look();
    return watch;
  }

  private constructor(client: Client, pid: number) {
    this.#client = client;
    this.#pid = pid;
  }

  /** The last ones that were seen. */
  holders(): readonly Holder[] {
    return this.#seen;
  }

  async end(): Promise<void> {
    this.#end.abort();
    await this.#looking;
    await this.#client.end().catch(() => undefined);
  }

  async #look(): Promise<void> {
    const { signal } = this.#end;
    try {
      // Most scripts are over by then, and are not to wait for a connection that tells nothing of them.
      await sleep(FIRST_LOOK_MS, undefined, { signal });
      await this.#client.connect();
      while (!signal.aborted) {
        const { rows } = await this.#client.query<Holder>(holdersOf, [this.#pid]);
        if (rows.length > 0) this.#seen = rows;
        await sleep(LOOK_EVERY_MS, undefined, { signal });
      }
    } catch {
      // It is over; or nobody can be asked who holds up the migration, which is not to fail for that.
    }
  }
}

// Not those who wait in front of us.
const holdersOf = `
  SELECT blocking.pid, usename AS role, nullif(application_name, '') AS program,
    floor(extract(epoch FROM clock_timestamp() - xact_start))::int AS seconds,
    (SELECT relation::regclass::text FROM pg_locks WHERE pg_locks.pid = $1 AND NOT granted LIMIT 1) AS "table"
  FROM unnest(pg_blocking_pids($1)) AS blocking (pid) LEFT JOIN pg_stat_activity AS activity USING (pid)
  WHERE cardinality(pg_blocking_pids(blocking.pid)) = 0
  ORDER BY xact_start NULLS LAST LIMIT 3`;

/** To continue "The migration …". */
function wordsOf(holders: readonly Holder[], waitedMs: number): string {
  const [first] = holders;
  const way = first === undefined ? 'Wait' : `Wait for its end, or end it (SELECT pg_terminate_backend(${first.pid}))`;
  const seconds = Math.round(waitedMs / 1000);
  return `was not applied within ${seconds} s, and nothing of it is left. ${heldBy(holders)} ${way}, and run the command again.`;
}

function heldBy(holders: readonly Holder[]): string {
  const table = holders.find((holder) => holder.table !== null)?.table;
  const what = table == null ? 'A lock that it needs' : `Its lock on ${table}`;
  return holders.length === 0
    ? `${what} is held by somebody who could not be seen.`
    : `${what} is held by ${holders.map(describe).join(' and ')}.`;
}

function describe({ pid, role, program, seconds }: Holder): string {
  const who = [role, program === null ? null : `"${program}"`].filter((word) => word !== null).join(', ');
  return `process ${pid}${who === '' ? '' : ` (${who})`}${seconds === null ? '' : `, whose transaction began ${seconds} s ago`}`;
}

/** Of an error of Prisma's adapter, or of pg itself. */
function sqlStateOf(error: unknown): string | undefined {
  const { code, cause } = error as { code?: string; cause?: { originalCode?: string } };
  return cause?.originalCode ?? code;
}
