import pg from 'pg';

/** COMMIT was answered ROLLBACK: a statement had failed before, its error was swallowed, and nothing is stored. */
export class TransactionRolledBackError extends Error {
  override readonly name = 'TransactionRolledBackError';
}

/** The time of a boundary ran out while a statement was under way. Nothing is stored. */
export class TransactionExpiredError extends Error {
  override readonly name = 'TransactionExpiredError';
}

/** What pg's own client says when `query_timeout` is over. */
const silence = 'Query read timeout';

/**
 * A connection that tells the truth about COMMIT, and that nobody uses again once its state is not known:
 * pg would give one back to the pool whose server has gone silent, or on which a statement of an ended transaction is still at work.
 */
export class Connection extends pg.Client {
  private underWay = 0;
  private reason: Error | null = null;

  // pg's overloads cannot be spelled once: this forwards whatever it is given.
  override query(...given: any[]): any {
    const send = super.query.bind(this) as (...params: any[]) => any;
    // The pool's own way, with a callback: it drops a connection whose statement failed.
    if (typeof given.at(-1) === 'function') return send(...given) as unknown;
    const text = textOf(given[0]);
    if (text === 'ROLLBACK' && this.underWay > 0) return this.abandon(new TransactionExpiredError());
    return this.follow(text, send(...given) as Promise<pg.QueryResult>);
  }

  private async follow(text: string | undefined, sent: Promise<pg.QueryResult>): Promise<pg.QueryResult> {
    this.underWay++;
    try {
      const result = await sent;
      if (text === 'COMMIT' && result.command === 'ROLLBACK')
        throw new TransactionRolledBackError('A statement of the transaction failed and its error was swallowed.');
      return result;
    } catch (error) {
      if ((error as Error).message === silence) this.cut();
      throw this.reason ?? error;
    } finally {
      this.underWay--;
    }
  }

  // The rest of what is under way must not run outside its transaction: without the connection it cannot, and the server rolls back.
  private async abandon(reason: Error): Promise<never> {
    this.reason = reason;
    this.cut();
    throw reason;
  }

  private cut(): void {
    const { connection } = this as unknown as { connection: { stream: { destroy(): void } } };
    connection.stream.destroy();
  }
}

const textOf = (query: unknown): string | undefined =>
  typeof query === 'string' ? query : (query as { text?: string } | undefined)?.text;
