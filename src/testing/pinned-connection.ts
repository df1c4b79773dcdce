import type pg from 'pg';
import { Admission } from '../transactions/wire/admission.ts';
import type { Carrier, Connections, ServerLimits } from '../transactions/wire/connection.ts';
import { PoolTimeoutError } from '../transactions/wire/errors.ts';
import { type Ahead, Flight } from '../transactions/wire/flight.ts';
import type { Context } from '../transactions/wire/nesting.ts';
import { databaseFailure } from '../transactions/wire/postgres-errors.ts';
import { PinnedConnectionBusyError, PinnedConnectionOverError } from './pinned-errors.ts';
import { pinnedOpening, restoredSettings } from './pinned-opening.ts';

/** The one connection that all of a test shares. */
export interface Shared {
  readonly client: Pick<Carrier, 'query' | 'fly'>;
  readonly limits: ServerLimits;
  /** How long somebody waits for a turn, milliseconds. */
  readonly waitMs: number;
  readonly turns: Admission;
  readonly isOver: boolean;
  /** SQL that brings every rule of the database back to when it is checked by default. */
  readonly deferRules: string;
  /** The innermost transaction around this place that is on this connection. */
  around(place: Context | null): PinnedConnection | null;
  complain(error: PinnedConnectionBusyError): void;
}

type Query = pg.QueryConfig;
type Answer = pg.QueryResult;

const savepoints = /(?:^|; )(SAVEPOINT|RELEASE SAVEPOINT|ROLLBACK TO SAVEPOINT) (\w+)(?=;|$)/g;

const checkRules = 'SET CONSTRAINTS ALL IMMEDIATE';
const undoProbe = 'ROLLBACK TO SAVEPOINT pinned_probe; RELEASE SAVEPOINT pinned_probe';
const probeRules = `SAVEPOINT pinned_probe; ${checkRules}; ${undoProbe}`;
// in_failed_sql_transaction: what PostgreSQL says of a transaction in which a statement has failed (PostgreSQL 18, appendix A).
const broken = '25P02';
const breakAgain = `DO $$ BEGIN RAISE EXCEPTION 'current transaction is aborted' USING ERRCODE = '${broken}'; END $$`;

/**
 * A connection as far as one transaction can tell. Its BEGIN is a savepoint, its COMMIT checks the deferred rules and releases that, its
 * ROLLBACK goes back to it. What is begun inside it, by `requires-new` or while it is set aside, is a savepoint in it.
 */
export class PinnedConnection implements Connections, Carrier {
  private outer: PinnedConnection | null = null;
  private entering: Promise<void> = Promise.resolve();
  // Who may speak: this one, or one at a time of those inside it.
  private readonly turns: Admission;
  // Those there are, the innermost last.
  private readonly marks: string[] = [];
  private depth = 1;
  private isOpen = false;
  private ending: Promise<Answer> | null = null;
  private isOuterBroken = false;
  private isOuterWhole = true;

  constructor(private readonly shared: Shared) {
    this.turns = new Admission(1, shared.waitMs);
  }

  get limits(): ServerLimits {
    return this.shared.limits;
  }

  get isIdle(): boolean {
    return !this.isOpen;
  }

  /** This one is everybody's and is not cut: a statement that takes too long meets its own limit. */
  cut = ignore;

  readonly missing = [];

  /** It leads where it has always led. */
  asWriter(error: unknown): unknown {
    return error;
  }

  /** Waits for its turn. Throws PinnedConnectionBusyError and PinnedConnectionOverError. */
  async takeConnection(place: Context | null): Promise<Carrier> {
    this.outer = this.shared.around(place);
    this.entering = this.enter();
    await this.entering;
    return this;
  }

  giveBack(): void {
    if (this.isOpen) void this.rollback();
    void (this.ending ?? this.breakOuterAgain()).catch(ignore).then(() => this.leave());
  }

  query(query: string | Query): Promise<Answer> {
    const config = typeof query === 'string' ? { text: query } : query;
    return this.inTurn(() => this.say(config));
  }

  fly(flight: Flight): Promise<Answer> {
    return this.inTurn(() => this.sayAll(flight));
  }

  private async enter(): Promise<void> {
    const { shared, outer } = this;
    await outer?.entering;
    await this.turn(outer?.turns ?? shared.turns);
    this.depth = (outer?.depth ?? 0) + 1;
    try {
      if (shared.isOver) throw new PinnedConnectionOverError();
      if (outer !== null) await this.examine(outer);
    } catch (error) {
      this.leave();
      throw error;
    }
  }

  private leave(): void {
    (this.outer?.turns ?? this.shared.turns).leave();
  }

  private async turn(turns: Admission): Promise<void> {
    try {
      await turns.enter([]);
    } catch (error) {
      if (!(error instanceof PoolTimeoutError)) throw error;
      const busy = new PinnedConnectionBusyError(this.shared.waitMs);
      this.shared.complain(busy);
      throw busy;
    }
  }

  // Behind one inside, which has the word, and before the next one.
  private async inTurn(say: () => Promise<Answer>): Promise<Answer> {
    if (this.turns.hasPlace) return say();
    await this.turn(this.turns);
    const answer = say();
    this.turns.leave();
    return answer;
  }

  private async say(query: Query): Promise<Answer> {
    const { client, isOver } = this.shared;
    if (isOver) throw new PinnedConnectionOverError();
    if (query.text === 'ROLLBACK') return this.rollback();
    this.follow(query.text);
    return client.query(query);
  }

  private async sayAll(flight: Flight): Promise<Answer> {
    if (this.shared.isOver) throw new PinnedConnectionOverError();
    if (flight.query.text === 'COMMIT') return this.end(flight);
    const [opening] = flight.ahead;
    const isFirst = typeof opening === 'string' && opening.startsWith('BEGIN');
    const asked = new Flight(isFirst ? this.begin(flight.ahead) : flight.ahead, flight.query, flight.question);
    for (const line of asked.ahead) if (typeof line === 'string') this.follow(line);
    try {
      return await this.shared.client.fly(asked);
    } finally {
      Object.assign(flight, { done: asked.done, command: asked.command, answer: asked.answer });
      if (isFirst && asked.done === 0) this.isOpen = false;
    }
  }

  private begin(ahead: readonly Ahead[]): Ahead[] {
    this.isOpen = true;
    const own = ahead.findIndex((one) => typeof one !== 'string');
    const opening = (own === -1 ? ahead : ahead.slice(0, own)) as readonly string[];
    return [...pinnedOpening(opening, this.name, this.depth, this.limits), ...ahead.slice(opening.length)];
  }

  private async end(flight: Flight): Promise<Answer> {
    const answer = await (this.ending = this.commit());
    flight.command = answer.command;
    return answer;
  }

  private async commit(): Promise<Answer> {
    this.isOpen = false;
    const end = `${restoredSettings(this.depth)}; RELEASE SAVEPOINT ${this.name}`;
    try {
      await this.shared.client.query([...this.checks(), end].join('; '));
    } catch (error) {
      await this.undo();
      // COMMIT rolls a transaction back in which a statement has failed, and calls that no error.
      if (databaseFailure(error)?.sqlState === broken) return answerTo('ROLLBACK');
      throw error;
    }
    await this.breakOuterAgain();
    return answerTo('COMMIT');
  }

  private rollback(): Promise<Answer> {
    this.isOpen = false;
    return (this.ending = this.undo());
  }

  private async undo(): Promise<Answer> {
    await this.shared.client.query(`ROLLBACK TO SAVEPOINT ${this.name}; RELEASE SAVEPOINT ${this.name}`);
    await this.breakOuterAgain();
    return answerTo('ROLLBACK');
  }

  // Inside another one a rule may wait for what that one has still to do; and the COMMIT of that one checks all of them.
  private checks(): string[] {
    if (this.outer === null) return [checkRules, this.shared.deferRules];
    return this.isOuterWhole ? [probeRules] : [];
  }

  // If a statement of the enclosing boundary has failed, that one must again be refused everything except its end.
  private async breakOuterAgain(): Promise<void> {
    if (this.isOuterBroken) await this.shared.client.query(breakAgain).catch(ignore);
  }

  private async examine(outer: PinnedConnection): Promise<void> {
    const failure = await this.failureOf(probeRules);
    this.isOuterWhole = failure === null;
    this.isOuterBroken = failure === broken;
    if (this.isOuterBroken) await outer.mend();
    else if (!this.isOuterWhole) await this.shared.client.query(undoProbe);
  }

  /** Goes back to the innermost savepoint, so that something else can be said. */
  private async mend(): Promise<void> {
    for (const mark of this.marks.toReversed())
      if ((await this.failureOf(`ROLLBACK TO SAVEPOINT ${mark}`)) === null) return;
  }

  private failureOf(text: string): Promise<string | null> {
    return this.shared.client.query(text).then(
      () => null,
      (error: unknown) => databaseFailure(error)?.sqlState ?? 'none',
    );
  }

  private follow(text: string): void {
    for (const [, verb, name = ''] of text.matchAll(savepoints))
      if (verb === 'SAVEPOINT') this.marks.push(name);
      else this.marks.length = this.marks.lastIndexOf(name) + (verb === 'RELEASE SAVEPOINT' ? 0 : 1);
  }

  private get name(): string {
    return `pinned_${this.depth}`;
  }
}

const answerTo = (command: string): Answer => ({ command, rowCount: null, oid: 0, fields: [], rows: [] });
function ignore(): void {
  return undefined;
}
