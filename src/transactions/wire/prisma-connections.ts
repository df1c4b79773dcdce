import type pg from 'pg';
import { TransactionEndedError } from './errors.ts';
import type { WireTransaction } from './transaction.ts';

// What Prisma has for a connection in a transaction, and what it says of that.

type Query = pg.QueryConfig;
type Answer = pg.QueryResult;

/** The connection of one transaction that Prisma begins and ends. */
export class TransactionConnection {
  constructor(private readonly wire: WireTransaction) {}

  async query(query: Query): Promise<Answer> {
    const { text } = query;
    if (!isPrismas(text)) return this.wire.statement(query);
    if (text === 'COMMIT') await this.wire.commit();
    if (text === 'ROLLBACK') await this.wire.rollback();
    return answerTo(text);
  }

  release(): void {
    this.wire.release();
  }

  // Prisma listens for errors of the connection. It hears of them by the next statement.
  on = (): this => this;
  removeListener = (): this => this;
}

/**
 * The connection of a transaction that Prisma keeps open. It carries one transaction on the wire after the other, whose beginning and end
 * are not Prisma's to say.
 */
export class SlotConnection {
  private wire: WireTransaction | null = null;

  /** From now on statements are this transaction's. One that comes when there is none is refused. */
  carry(wire: WireTransaction | null): void {
    this.wire = wire;
  }

  async query(query: Query): Promise<Answer> {
    const { text } = query;
    if (text === 'ROLLBACK') await this.wire?.rollback(); // Prisma disconnects
    if (isPrismas(text)) return answerTo(text);
    if (this.wire === null) throw new TransactionEndedError();
    return this.wire.statement(query);
  }

  // Nothing was taken, so nothing is given back.
  release = (): void => undefined;
  on = (): this => this;
  removeListener = (): this => this;
}

// Its own BEGIN and end. The same from a raw statement does not come this far.
const isPrismas = (text: string): boolean => text === 'BEGIN' || text === 'COMMIT' || text === 'ROLLBACK';
const answerTo = (command: string): Answer => ({ command, rowCount: null, oid: 0, fields: [], rows: [] });
