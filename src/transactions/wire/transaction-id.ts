import type pg from 'pg';
import type { Carrier } from './connection.ts';
import type { Flight, Question } from './flight.ts';
import { isAfterFailure } from './postgres-errors.ts';

// Beside the id stands the start of the server: a crash takes back ids whose writing was not on the disk, and gives them out again.
const question: Question = {
  name: 'transaction_id',
  text: `SELECT pg_current_xact_id_if_assigned()::text || '@' || extract(epoch FROM pg_postmaster_start_time()) AS answer`,
};

/** The id by which `pg_xact_status` knows a transaction, `id@start of the server`. One that has written nothing has none, and asking does not give it one. */
export class TransactionId {
  value: string | null = null;
  private isAsked = false;
  private isToBeAskedAgain = false;

  /** The question that is to go behind what may write, or only reads; null where there is nothing to ask. */
  questionBehind(mayWrite: boolean): Question | null {
    if (this.value !== null || !mayWrite) return null;
    this.isToBeAskedAgain = this.isAsked;
    if (this.isAsked) return null;
    this.isAsked = true;
    return question;
  }

  /** The flight has ended, however it did. */
  read(flight: Flight): void {
    if (flight.question !== question) return;
    this.isAsked = false;
    this.value = flight.answer;
  }

  /** Waits until the id is certain. Throws what kept it from being asked for. */
  async known(client: Carrier, patienceMs: number): Promise<void> {
    if (!this.isToBeAskedAgain || this.value !== null) return;
    this.isToBeAskedAgain = false;
    try {
      const { rows } = await client.query({ ...question, query_timeout: patienceMs } as pg.QueryConfig);
      this.value = (rows[0] as { answer: string | null }).answer;
    } catch (error) {
      // COMMIT will tell.
      if (!isAfterFailure(error)) throw error;
    }
  }
}
