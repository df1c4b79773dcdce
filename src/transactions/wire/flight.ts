import type { EventEmitter } from 'node:events';
import pg from 'pg';
import utils from 'pg/lib/utils.js';
import type { OwnStatement } from './own-statement.ts';
import { databaseFailure } from './postgres-errors.ts';

/** What goes ahead of a statement in its flight. */
export type Ahead = string | OwnStatement;

/** Asked in the flight of a statement, behind it. Prepared once on each connection. */
export interface Question {
  readonly name: string;
  readonly text: string;
}

/**
 * What goes to the server as one: statements ahead, the query, and a question behind it. They stand in front of one Sync of the extended
 * protocol, so that the server skips everything behind the first of them that fails, also where BEGIN is what fails (PostgreSQL 18, 54.2.4).
 */
export class Flight {
  /** How many of its statements the server has carried out. */
  done = 0;
  /** What the server says that the query has done: `INSERT`, `COMMIT`; null as long as it has not. */
  command: string | null = null;
  /** The answer to the question. */
  answer: string | null = null;

  constructor(
    readonly ahead: readonly Ahead[],
    readonly query: pg.QueryConfig,
    readonly question: Question | null = null,
  ) {}
}

/** What pg keeps of a connection. */
interface Wire extends Pick<EventEmitter, 'once' | 'off'> {
  readonly parsedStatements: Record<string, string>;
  readonly submittedNamedStatements: Record<string, string>;
  parse(statement: { name?: string; text: string }): void;
  bind(portal: { statement?: string; values: readonly unknown[]; valueMapper: (value: unknown) => unknown }): void;
  execute(portal: object): void;
  sync(): void;
}

type Landed = (error: Error | null, result?: pg.QueryResult) => void;

/** The members of pg.Query that its types leave out. */
interface PgQuery {
  name: string | undefined;
  text: string;
  callback: Landed;
  submit(connection: Wire): Error | null;
  prepare(connection: Wire): void;
  handleDataRow(row: { readonly fields: readonly unknown[] }): void;
  handleCommandComplete(tag: { readonly text: string }, connection: Wire): void;
  handleEmptyQuery(connection: Wire): void;
  handleError(error: Error, connection: Wire): void;
}
const PgQuery = pg.Query as unknown as new (config: pg.QueryConfig) => PgQuery;

const ends = ['readyForQuery', 'end'];

interface Stage {
  readonly name?: string | undefined;
  readonly text: string;
  readonly values?: readonly unknown[];
}

/** A flight as pg sends it and follows its answers. */
export class FlightQuery extends PgQuery {
  private readonly stages: readonly Stage[];
  private readonly ahead: readonly Stage[];
  private readonly query: Stage;
  private readonly question: Stage | null;

  constructor(
    private readonly flight: Flight,
    landed: Landed,
    /** Whether statements may be prepared by name. */
    isNamed = true,
  ) {
    super(Object.assign(flight.query, { queryMode: 'extended', ...(!isNamed && { name: undefined }) }));
    this.callback = landed;
    this.query = { name: flight.query.name, text: flight.query.text };
    const { question } = flight;
    this.question = question === null || isNamed ? question : { text: question.text };
    this.ahead = flight.ahead.map((one) => stageOf(one, isNamed));
    this.stages = [...this.ahead, this.query, ...(this.question ? [this.question] : [])];
  }

  /** pg reads it there. */
  get query_timeout(): number | undefined {
    return (this.flight.query as { query_timeout?: number }).query_timeout;
  }

  override prepare(connection: Wire): void {
    for (const stage of this.ahead) send(connection, stage);
    const { question } = this;
    const sync = (): void => {
      if (question !== null) send(connection, question);
      connection.sync();
    };
    super.prepare(Object.create(connection, { sync: { value: sync } }) as Wire);
    this.enter(0);
  }

  override handleDataRow(row: { readonly fields: readonly unknown[] }): void {
    if (this.stage === this.query) super.handleDataRow(row);
    else if (this.stage === this.question) this.flight.answer = row.fields[0] as string | null;
  }

  override handleCommandComplete(tag: { readonly text: string }, connection: Wire): void {
    if (this.stage === this.query) {
      super.handleCommandComplete(tag, connection);
      this.flight.command = /^\w+/.exec(tag.text)?.[0] ?? '';
    }
    this.enter(this.flight.done + 1);
  }

  override handleEmptyQuery(connection: Wire): void {
    super.handleEmptyQuery(connection);
    this.enter(this.flight.done + 1);
  }

  // The server has skipped what stands behind: what was to be prepared there is not.
  override handleError(error: Error, connection: Wire): void {
    for (const { name } of this.stages.slice(this.flight.done))
      if (name !== undefined) Reflect.deleteProperty(connection.submittedNamedStatements, name);
    const landed = (): void => {
      for (const event of ends) connection.off(event, landed);
      super.handleError(error, connection);
    };
    // The server says behind an error what became of the transaction. Who is told of it earlier would go by what it said before.
    if (databaseFailure(error) === null) landed();
    else for (const event of ends) connection.once(event, landed);
  }

  private get stage(): Stage | undefined {
    return this.stages[this.flight.done];
  }

  // pg writes down under this name what the server says that it has prepared.
  private enter(done: number): void {
    this.flight.done = done;
    this.name = this.stage?.name;
    this.text = this.stage?.text ?? '';
  }
}

function stageOf(ahead: Ahead, isNamed: boolean): Stage {
  if (typeof ahead === 'string') return { text: ahead };
  const { text, values } = ahead;
  return isNamed ? ahead : { text, values };
}

function send(connection: Wire, { name, text, values = [] }: Stage): void {
  if (name === undefined) connection.parse({ text });
  else if (!isPrepared(connection, name)) {
    connection.parse({ name, text });
    connection.submittedNamedStatements[name] = text;
  }
  connection.bind({ ...(name !== undefined && { statement: name }), values, valueMapper: utils.prepareValue });
  connection.execute({});
}

const isPrepared = ({ parsedStatements, submittedNamedStatements }: Wire, name: string): boolean =>
  parsedStatements[name] !== undefined || submittedNamedStatements[name] !== undefined;
