import type pg from 'pg';
import { isPlainRead } from './statements.ts';

const idQuery = { name: 'transaction_id', text: 'SELECT pg_current_xact_id_if_assigned()::text AS answer' };

/** The id by which `pg_xact_status` knows a transaction. One that has written nothing has none, and asking does not give it one. */
export class TransactionId {
  value: string | null = null;
  private asked: Promise<void> | null = null;
  private isToBeAskedAgain = false;

  /** To be called behind each statement. What may have written is followed by the question, in the same flight. */
  askBehind(text: string, client: pg.PoolClient): void {
    if (this.value !== null || isPlainRead(text)) return;
    if (this.asked !== null) this.isToBeAskedAgain = true;
    else this.asked = this.ask(client);
  }

  /** Waits until the id is certain. */
  async known(client: pg.PoolClient): Promise<void> {
    if (this.asked !== null) await this.asked;
    if (this.isToBeAskedAgain && this.value === null) await this.ask(client);
  }

  private async ask(client: pg.PoolClient): Promise<void> {
    this.isToBeAskedAgain = false;
    this.value = await answerTo(client, idQuery);
    this.asked = null;
  }
}

/** The single text that the query answers; null when it fails, which another statement will tell about. */
export async function answerTo(client: pg.PoolClient, query: { name: string; text: string }): Promise<string | null> {
  const { rows } = await client.query<{ answer: string | null }>(query).catch(() => ({ rows: [] }));
  return rows[0]?.answer ?? null;
}
