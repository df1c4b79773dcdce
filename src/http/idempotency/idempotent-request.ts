import { deserialize, serialize } from 'node:v8';
import { MisuseError } from '../../kernel/loggable-error.ts';
import type { ProblemError } from '../../kernel/problem.ts';
import {
  type Ending,
  type FinalStatement,
  type FirstStatement,
  type ParticipantGroup,
  RecoveryPoint,
  sendWithCommit,
  Substitute,
  type TransactionParticipant,
} from '../../transactions/participant.ts';
import { httpProblems } from '../problems/http.problems.ts';
import type { EndedRequest, IdempotencyRecord, IdempotencyRepository } from './idempotency.repository.ts';
import type { KeyedRequest, StoredResponse } from './idempotency.ts';

/** Thrown through the handler of a repeated request, whose work is not done again. Never reaches a caller. */
export class RepeatedRequest extends Error {
  constructor() {
    super('This request was answered before; its handler must not answer it again.');
  }
}

/** What is the same for all requests of an application. */
export interface IdempotencyContext {
  readonly records: IdempotencyRepository;
  /** Has the COMMIT of the running boundary wait until what was looked up is as durable as what a COMMIT acknowledges. */
  readonly acknowledge: () => Promise<void>;
  readonly keepSeconds: number;
  /** The requests that a lane does in one boundary. */
  readonly group: ParticipantGroup;
  /** Routes whose handler answers with something else than its boundary has returned. One entry at most for each route. */
  readonly mappingRoutes: Set<string>;
}

// What a result may take up while its response is not known. A response of ours is far smaller.
const largestResult = 1_000_000;

interface Stored {
  /** Null where only the result of the boundary is stored. */
  readonly response: StoredResponse | null;
}

/**
 * Does a request once for its Idempotency-Key: the key is claimed in front of the work of its boundary and the response stored behind it,
 * by the same COMMIT.
 */
export class IdempotentRequest implements TransactionParticipant {
  /** What an earlier request with this key was answered. */
  earlier: StoredResponse | null = null;
  private stored: Stored | null = null;
  private latest: Stored | null = null;
  private turn: Promise<unknown> = Promise.resolve();
  private isToBeAsked = false;

  constructor(
    private readonly request: KeyedRequest,
    /** The response to a request whose boundary has returned this value, if its handler returns the same. Throws where that cannot be. */
    private readonly responseTo: (value: unknown) => StoredResponse,
    private readonly context: IdempotencyContext,
  ) {}

  get name(): string {
    const { principalId, route, key } = this.request;
    return `${principalId} ${route} ${key}`;
  }

  inUse(): ProblemError {
    return inUse();
  }

  /** Null once it has stored something: what it stores then is its own record again. */
  get group(): ParticipantGroup | null {
    return this.stored === null ? this.context.group : null;
  }

  firstStatement(): FirstStatement | null {
    // What this request has stored before is its own.
    const { records, keepSeconds } = this.context;
    return this.stored !== null || this.isToBeAsked ? null : records.claiming(this.request, keepSeconds);
  }

  toBeAsked(): void {
    this.isToBeAsked = true;
  }

  /** Throws idempotency-key-in-use while the first request runs, idempotency-key-reused when the key was another request's. */
  async begin(): Promise<Substitute | null> {
    // What this request has stored before is its own.
    if (this.stored !== null || (await this.claimed())) return null;
    const { response, result } = await this.known();
    if (response !== null) return new Substitute(() => this.refuseRepeated(response));
    if (result === null) throw inUse();
    this.latest = { response: null };
    return new Substitute(() => deserialize(result) as unknown);
  }

  finalStatement(value: unknown): FinalStatement {
    const { records, keepSeconds } = this.context;
    return records.storing(this.ended(value), keepSeconds);
  }

  /** What is stored of it once its boundary has come to this value: the response, or the result where the response is not known yet. */
  ended(value: unknown): EndedRequest {
    const isMapped = value instanceof RecoveryPoint || this.context.mappingRoutes.has(this.request.route);
    const response = isMapped ? null : this.triedResponse(value);
    this.latest = { response };
    const result = response === null ? serialized(value instanceof RecoveryPoint ? value.value : value) : null;
    return { request: this.request, response, result };
  }

  committed(): void {
    this.stored = this.latest;
  }

  inTurn<T>(boundary: () => Promise<T>): Promise<T> {
    const result = this.turn.then(boundary);
    this.turn = result.catch(() => undefined);
    return result;
  }

  /** Whether this response is stored by now. */
  hasStored(response: StoredResponse): boolean {
    return this.stored?.response != null && isSame(this.stored.response, response);
  }

  /** To be called in a boundary: stores what the handler has answered in the end. Gives the response that counts, an earlier one if there is one. */
  async conclude(response: StoredResponse): Promise<StoredResponse> {
    if (this.stored === null && !(await this.claimed())) {
      const { response: earlier } = await this.known();
      if (earlier === null) throw inUse();
      return (this.earlier = earlier);
    }
    if (this.stored !== null) this.context.mappingRoutes.add(this.request.route);
    const { records, keepSeconds } = this.context;
    sendWithCommit(records.storing({ request: this.request, response, result: null }, keepSeconds));
    return response;
  }

  private claimed(): Promise<boolean> {
    return this.context.records.claim(this.request, this.context.keepSeconds);
  }

  private async known(): Promise<IdempotencyRecord> {
    const { records, acknowledge } = this.context;
    const [known] = await Promise.all([records.find(this.request), acknowledge()]);
    if (known === null) throw inUse();
    if (!this.request.fingerprint.equals(known.fingerprint))
      throw httpProblems.idempotencyKeyReused(
        'This key was sent with another request. Take a new one for each request.',
      );
    return known;
  }

  private refuseRepeated(response: StoredResponse): never {
    this.earlier = response;
    throw new RepeatedRequest();
  }

  private triedResponse(value: unknown): StoredResponse | null {
    try {
      return this.responseTo(value);
    } catch {
      return null; // the handler will make something else of it
    }
  }
}

/** Requests of several callers in the boundary of a lane: their keys are claimed and their responses stored by one statement. */
export class IdempotentRequests implements ParticipantGroup {
  constructor(
    private readonly records: IdempotencyRepository,
    private readonly keepSeconds: number,
  ) {}

  finalStatement(endings: readonly Ending[]): FinalStatement {
    const requests = endings.map(({ participant, value }) => (participant as IdempotentRequest).ended(value));
    return this.records.claimingAndStoring(requests, this.keepSeconds);
  }
}

const inUse = (): ProblemError => httpProblems.idempotencyKeyInUse('The first request with this key is not done yet.');

function serialized(value: unknown): Uint8Array {
  const bytes = serialize(value);
  if (bytes.length > largestResult)
    throw new MisuseError(
      `A boundary under an Idempotency-Key returned ${bytes.length} bytes; at most ${largestResult}.`,
    );
  return bytes;
}

const isSame = (one: StoredResponse, other: StoredResponse): boolean =>
  one.status === other.status &&
  one.body === other.body &&
  JSON.stringify(Object.entries(one.headers).sort()) === JSON.stringify(Object.entries(other.headers).sort());
