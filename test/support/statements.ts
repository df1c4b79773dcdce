import { setImmediate as turn, setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';
import { type Flight, FlightQuery } from '../../src/transactions/wire/flight.ts';

export interface Statement {
  readonly text: string;
  readonly values: readonly unknown[];
  /** What pg_stat_activity calls the connection: `holdfast write`, `holdfast read`, or '' for one of the test's own. */
  readonly connection: string;
  /** The message in which it went to the server: whatever is sent on a connection before anything of the last message is answered is one. */
  readonly trip: number;
}

/**
 * Writes down every statement that any client of pg in this process sends, until `stop`. Statements of the service only are told. With
 * `isFar` their answers are held back for longer than this process takes to send what does not wait for them, as if the server were far away.
 */
export function recordStatements({ isFar = false } = {}) {
  const original = pg.Client.prototype.query as (...given: unknown[]) => unknown;
  const recorded: Statement[] = [];
  const trips = countTrips();
  pg.Client.prototype.query = function (this: pg.Client, ...given: unknown[]) {
    const [first, second] = given;
    const { text, values } = typeof first === 'string' ? { text: first, values: second } : (first as pg.QueryConfig);
    const name = (this as unknown as { connectionParameters: { application_name?: string } }).connectionParameters
      .application_name;
    if (!name?.startsWith('holdfast ')) return original.apply(this, given);
    const { trip, answered } = trips.of(this);
    const write = (said: string, with_: unknown = []): void =>
      void recorded.push({
        text: said,
        values: Array.isArray(with_) ? (with_ as unknown[]) : [],
        connection: name,
        trip,
      });
    const { ahead = [], question = null } = flightOf(first);
    const texts = ahead.filter((one) => typeof one === 'string');
    if (texts.length > 0) write(texts.join('; '));
    for (const one of ahead) if (typeof one !== 'string') write(one.text, one.values);
    write(text, values);
    if (question !== null) write(question.text);
    const arrived = isFar ? () => holdBack().then(answered) : answered;
    return heard(given, arrived, (sent) => original.apply(this, sent));
  } as typeof pg.Client.prototype.query;
  return {
    /** What came since the last call. */
    take: (): Statement[] => recorded.splice(0),
    stop: (): void => {
      pg.Client.prototype.query = original as typeof pg.Client.prototype.query;
    },
  };
}

function countTrips() {
  let count = 0;
  const latest = new WeakMap<object, { trip: number; isAnswered: boolean }>();
  return {
    /** In which message a statement goes, and what is to be called when it is answered. */
    of(client: object): { trip: number; answered: () => void } {
      let mine = latest.get(client);
      if (mine === undefined || mine.isAnswered) {
        mine = { trip: ++count, isAnswered: false };
        latest.set(client, mine);
      }
      const { trip } = mine;
      return { trip, answered: () => void ((mine as { isAnswered: boolean }).isAnswered = true) };
    },
  };
}

const holdMs = 2;
const holdTurns = 25;

/** Not by time alone: on a busy machine that passes while this process does nothing. */
async function holdBack(): Promise<void> {
  await sleep(holdMs);
  for (let n = 0; n < holdTurns; n++) await turn();
}

const flightOf = (query: unknown): Partial<Flight> => (query instanceof FlightQuery ? query['flight'] : {});

/** Sends, and calls `answered` before whoever waits is told of the answer: pg takes a callback, or gives a promise. */
function heard(given: unknown[], answered: () => Promise<void> | void, send: (given: unknown[]) => unknown): unknown {
  const last = given.at(-1);
  if (typeof last === 'function') {
    const told = async (...result: unknown[]): Promise<void> => {
      await answered();
      last(...result);
    };
    return send([...given.slice(0, -1), told]);
  }
  const [first] = given;
  if (first instanceof FlightQuery) {
    const { callback } = first;
    first.callback = (...result) => void Promise.resolve(answered()).then(() => callback(...result));
  }
  const answer = send(given);
  return answer instanceof Promise ? answer.finally(answered) : answer;
}
