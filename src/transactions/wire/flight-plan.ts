import type pg from 'pg';
import type { Carrier, ServerLimits } from './connection.ts';
import { Flight, type Question } from './flight.ts';
import { TimeLimits } from './limits.ts';
import { Preamble } from './preamble.ts';
import { settingsBehindBegin } from './session.ts';
import { isPlainRead } from './statements.ts';
import { TransactionId } from './transaction-id.ts';
import type { WireTerms } from './wire-terms.ts';

// One that leaves while BEGIN has not been answered is not to run where BEGIN fails: outside a transaction SAVEPOINT does, too, and the
// server skips what stands behind it.
const demandTransaction = ['SAVEPOINT begun', 'RELEASE SAVEPOINT begun'];

/** What goes with each statement of a transaction: what is ahead of it, its limits, and the question for the transaction's id. */
export class FlightPlan {
  readonly ahead: Preamble;
  readonly limits: TimeLimits;
  readonly transactionId = new TransactionId();
  // Whether it has begun for certain.
  private hasBegun = false;
  private isFirst = false;
  // What leaves with the first statement, without having been asked for the id of the transaction.
  private mayHaveWritten = false;

  constructor(
    server: ServerLimits,
    private readonly terms: WireTerms,
  ) {
    this.ahead = new Preamble(server);
    this.limits = new TimeLimits(server, terms);
  }

  /** On this connection. */
  begin({ limits, missing }: Carrier): void {
    const [begin = 'BEGIN', ...settings] = this.terms.opening();
    const first = this.terms.first === null ? [] : [this.terms.first];
    this.terms.first = null;
    this.ahead.begin([begin, ...settingsBehindBegin(missing), ...settings, ...first], limits);
    this.isFirst = true;
    this.mayHaveWritten = first.length > 0;
  }

  /** The flight of this statement, which leaves now. */
  flightOf(query: pg.QueryConfig, client: Carrier): Flight {
    if (!this.hasBegun && !this.isFirst) this.ahead.begin(demandTransaction);
    this.isFirst = false;
    this.limits.tell(this.ahead);
    const question = this.questionBehind(query.text);
    const fault = this.terms.fault?.('statement', query.text) ?? null;
    if (fault?.statement === null) client.cut();
    const sent = fault?.statement ?? query;
    return new Flight(this.ahead.take(), Object.assign(sent, { query_timeout: this.limits.patienceMs() }), question);
  }

  private questionBehind(text: string): Question | null {
    if (this.terms.readOnly) return null;
    const mayWrite = this.mayHaveWritten || !isPlainRead(text);
    this.mayHaveWritten = false;
    return this.transactionId.questionBehind(mayWrite);
  }

  /** The flight has ended, however it did. */
  landed(flight: Flight): void {
    if (flight.done > 0) this.hasBegun = true;
    this.transactionId.read(flight);
  }

  /** A statement of the transaction's own. */
  own(text: string): pg.QueryConfig {
    return { text, query_timeout: this.limits.patienceMs() } as pg.QueryConfig;
  }
}
