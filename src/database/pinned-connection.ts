import type pg from 'pg';
import { Admission } from './admission.ts';
import type { Context } from './context.ts';
import type { Carrier, Connections, ServerLimits } from './connection.ts';
import { PoolTimeoutError } from './errors.ts';
import { databaseFailure } from './failures.ts';
import { PinnedConnectionBusyError, PinnedConnectionOverError } from './pinned-errors.ts';

/** The one connection that all of a test shares. */
export interface Shared {
  readonly client: pg.PoolClient;
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

// What a boundary sets for itself. A savepoint that is rolled back takes it back, one that is released does not.
const settings = ['application_name', 'statement_timeout', 'lock_timeout'];
// A transaction that has begun keeps its level, and no limit may end the session of the whole test.
const outOfPlace =
  /SET TRANSACTION ISOLATION LEVEL (?:read committed|repeatable read|serializable)(?:; )?|(?:; )?SET LOCAL (?:transaction_timeout|idle_in_transaction_session_timeout) = \d+/g;
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

  together<T>(send: () => T): T {
    return send();
  }

  /** This one is everybody's and is not cut: a statement that takes too long meets its own limit. */
  cut(): void {
    return undefined;
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

  query(query: string | Query, values?: unknown[]): Promise<Answer> {
    const config = typeof query === 'string' ? { text: query, ...(values && { values }) } : query;
    return this.turns.hasPlace ? this.say(config) : this.sayInTurn(config);
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
  private async sayInTurn(query: Query): Promise<Answer> {
    await this.turn(this.turns);
    const answer = this.say(query);
    this.turns.leave();
    return answer;
  }

  private async say(query: Query): Promise<Answer> {
    const { client, isOver } = this.shared;
    if (isOver) throw new PinnedConnectionOverError();
    if (query.text === 'COMMIT') return (this.ending = this.commit());
    if (query.text === 'ROLLBACK') return this.rollback();
    const text = query.text.startsWith('BEGIN') ? this.begin(query.text) : query.text;
    this.follow(text);
    return client.query(Object.assign(query, { text }));
  }

  private begin(text: string): string {
    this.isOpen = true;
    const { statement_timeout, lock_timeout } = this.limits;
    const keep = settings.map((name) => `set_config('${this.stash(name)}', current_setting('${name}'), true)`);
    // What a connection of its own would be set to.
    const own = `SET LOCAL statement_timeout = ${statement_timeout}; SET LOCAL lock_timeout = ${lock_timeout}`;
    const asked = text.replace(/^BEGIN(?:; )?/, '').replace(outOfPlace, '');
    return `SAVEPOINT ${this.name}; SELECT ${keep.join(', ')}; ${own}; ${asked}`;
  }

  private async commit(): Promise<Answer> {
    this.isOpen = false;
    const restore = settings.map((name) => `set_config('${name}', current_setting('${this.stash(name)}'), true)`);
    const end = `SELECT ${restore.join(', ')}; RELEASE SAVEPOINT ${this.name}`;
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

  // The one around, when a statement in it had failed, is to be refused everything but its end, as before.
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

  private stash(setting: string): string {
    return `holdfast.${setting}_${this.depth}`;
  }
}

const answerTo = (command: string): Answer => ({ command, rowCount: null, oid: 0, fields: [], rows: [] });
function ignore(): void {
  return undefined;
}
