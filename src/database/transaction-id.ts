import type pg from 'pg';
import type { Ahead } from './ahead.ts';
import type { Carrier } from './connection.ts';
import { isBreak } from './failures.ts';
import { isPlainRead } from './statements.ts';

// Beside the id stands the start of the server: a crash takes back ids whose writing was not on the disk, and gives them out again.
const start = `extract(epoch FROM pg_postmaster_start_time())`;
const idQuery = {
  name: 'transaction_id',
  text: `SELECT pg_current_xact_id_if_assigned()::text || '@' || ${start} AS answer`,
};
// In front of a statement that writes there is none yet; it is given one that the statement then takes.
const nextId = `SELECT pg_current_xact_id()::text || '@' || ${start} AS answer`;
const writes = /^(?:INSERT|UPDATE|DELETE)\b/;

/** The id by which `pg_xact_status` knows a transaction, `id@start of the server`. One that has written nothing has none, and asking does not give it one. */
export class TransactionId {
  value: string | null = null;
  private asked: Promise<void> | null = null;
  private isAskedAhead = false;
  private isToBeAskedAgain = false;
  private breakage: Error | null = null;

  /** To be called in front of each statement: where something goes ahead of one that writes, so does the question. */
  askAhead(text: string, ahead: Ahead): void {
    if (this.value !== null || this.asked !== null || ahead.isEmpty || !writes.test(text)) return;
    ahead.ask(nextId);
    this.isAskedAhead = true;
  }

  /** The answers to what was sent ahead. */
  readAhead(answers: Promise<pg.QueryResult | pg.QueryResult[]>): void {
    if (!this.isAskedAhead || this.value !== null) return;
    this.asked = this.read(answers.then((all) => answerIn([all].flat().at(-1))));
  }

  /** To be called behind each statement. What may have written is followed by the question, in the same flight. */
  askBehind(text: string, client: Carrier, patienceMs: number): void {
    if (this.value !== null || isPlainRead(text)) return;
    if (this.asked !== null) this.isToBeAskedAgain = true;
    else this.asked = this.ask(client, patienceMs);
  }

  /** Waits until the id is certain. Throws when it cannot be: the connection broke before the answer. */
  async known(client: Carrier, patienceMs: number): Promise<void> {
    if (this.asked !== null) await this.asked;
    if (this.isToBeAskedAgain && this.value === null) await this.ask(client, patienceMs);
    if (this.breakage !== null) throw this.breakage;
  }

  private ask(client: Carrier, patienceMs: number): Promise<void> {
    this.isToBeAskedAgain = false;
    const query = { ...idQuery, query_timeout: patienceMs } as pg.QueryConfig;
    return this.read(client.query(query).then(answerIn));
  }

  private async read(answer: Promise<string | null>): Promise<void> {
    try {
      this.value = await answer;
    } catch (error) {
      // What the server refuses is told by the statement that broke the transaction. A question without an answer does not mean
      // that nothing was written.
      if (isBreak(error)) this.breakage = error as Error;
    }
    this.asked = null;
  }
}

const answerIn = (result: pg.QueryResult | undefined): string | null =>
  (result?.rows as { answer: string | null }[] | undefined)?.[0]?.answer ?? null;
