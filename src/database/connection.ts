import { AsyncLocalStorage } from 'node:async_hooks';
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

/** The settings of a transaction that is about to begin. The first BEGIN in this context takes them. */
interface Beginning {
  readonly settings: () => string;
  isTaken: boolean;
}
const beginnings = new AsyncLocalStorage<Beginning>();

/** Runs the work; the first transaction that it begins has these settings: SQL that travels with BEGIN, at no round trip of its own. */
export const beginningWith = <T>(settings: () => string, work: () => Promise<T>): Promise<T> =>
  beginnings.run({ settings, isTaken: false }, work);

/**
 * A connection that sends BEGIN together with the first statement, that tells the truth about COMMIT, and that nobody uses again once
 * its state is not known: pg would give one back to the pool whose server has gone silent, or on which a statement of an ended
 * transaction is still at work.
 */
export class Connection extends pg.Client {
  private underWay = 0;
  private reason: Error | null = null;
  /** The settings of a transaction whose BEGIN has been answered but not sent; null when there is none. */
  private waiting: (() => string) | null = null;
  private beginError: unknown = null;

  // pg's overloads cannot be spelled once: this forwards whatever it is given.
  override query(...given: any[]): any {
    const send = super.query.bind(this) as (...params: any[]) => any;
    // The pool's own way, with a callback: it drops a connection whose statement failed.
    if (typeof given.at(-1) === 'function') return send(...given) as unknown;
    const text = textOf(given[0]);
    if (text === 'BEGIN') return this.postpone();
    if (this.waiting !== null && isEnd(text)) return this.endUnbegun(text);
    if (text === 'ROLLBACK' && this.underWay > 0) return this.abandon(new TransactionExpiredError());
    this.begin(send);
    return this.follow(text, send(...given) as Promise<pg.QueryResult>);
  }

  // Answered at once. Whoever begins and then says nothing has cost nothing.
  private async postpone(): Promise<pg.QueryResult> {
    const beginning = beginnings.getStore();
    this.waiting = beginning?.isTaken === false ? beginning.settings : () => '';
    if (beginning !== undefined) beginning.isTaken = true;
    this.beginError = null;
    return emptyResult('BEGIN');
  }

  private async endUnbegun(command: string): Promise<pg.QueryResult> {
    this.waiting = null;
    return emptyResult(command);
  }

  // The pipeline takes both before the first is answered. BEGIN alone cannot fail; where one of the settings does, the transaction is
  // broken and so is the statement behind it, which then reports what was wrong with the beginning.
  private begin(send: (sql: string) => Promise<pg.QueryResult>): void {
    if (this.waiting === null) return;
    const settings = this.waiting();
    this.waiting = null;
    const begun = send(settings === '' ? 'BEGIN' : `BEGIN; ${settings}`);
    // Before anything else waits for it: the statement behind it may fail in the same breath.
    begun.catch((error: unknown) => (this.beginError = error));
    this.follow('BEGIN', begun).catch(() => undefined);
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
      throw this.reason ?? this.beginError ?? error;
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

const isEnd = (text: string | undefined): text is string => text === 'COMMIT' || text === 'ROLLBACK';

const emptyResult = (command: string): pg.QueryResult => ({ command, rowCount: null, oid: 0, fields: [], rows: [] });
