import { AsyncLocalStorage } from 'node:async_hooks';
import { Inject, Injectable } from '@nestjs/common';
import type { Config } from '../../config/config.ts';
import { AuthConfig } from '../../config/slices.ts';
import { generalProblems } from '../../kernel/general.problems.ts';
import type { Principal } from '../../kernel/principal.ts';
import { isUnreachable } from '../../transactions/wire/postgres-errors.ts';

type Role = Principal['role'];
/** The roles of the people whose sessions are going on, of these. */
type LookUp = (sessionIds: readonly string[]) => Promise<ReadonlyMap<string, Role>>;

interface Seen {
  readonly userId: string;
  readonly role: Role;
  /** By `performance.now()`. */
  readonly at: number;
}

interface Batch {
  readonly ids: Set<string>;
  readonly roles: Promise<ReadonlyMap<string, Role>>;
}

const mostSeen = 20_000;

/**
 * Whether the session of an access token is going on, and which role its person has now. A token says what was true when it was signed; what
 * it opens is decided by what is true when it is shown. One statement at a time is under way, for all who ask: who comes meanwhile is in the next.
 */
@Injectable()
export class Standings {
  private readonly recheckMs: number;
  private readonly seen = new Map<string, Seen>();
  private lookUp: LookUp = () => Promise.reject(new Error('No module answers for sessions.'));
  private next: Batch | null = null;
  private last: Promise<unknown> = Promise.resolve();
  // A look-up is for many requests, and must not keep the context of the first one.
  private readonly outside = AsyncLocalStorage.snapshot();

  constructor(@Inject(AuthConfig.KEY) { recheckSeconds }: Config['auth']) {
    this.recheckMs = recheckSeconds * 1000;
  }

  /** How sessions are looked up; said once, by the module that has them. */
  answerWith(lookUp: LookUp): void {
    this.lookUp = lookUp;
  }

  /** As the primary says now. Throws invalid-token when the session has ended. */
  async now(claimed: Principal): Promise<Principal> {
    const role = (await this.ask(claimed.sessionId)).get(claimed.sessionId);
    this.seen.delete(claimed.sessionId);
    if (role === undefined) throw generalProblems.invalidToken('The session of the access token has ended.');
    this.remember(claimed, role);
    return { ...claimed, role };
  }

  /**
   * As it was at most AUTH_RECHECK_SECONDS ago. While the primary cannot be reached nothing is withdrawn either, and reads go on by what was seen
   * last, or else by what the token says. Throws invalid-token.
   */
  async recently(claimed: Principal): Promise<Principal> {
    const seen = this.seen.get(claimed.sessionId);
    if (seen !== undefined && performance.now() - seen.at < this.recheckMs) return { ...claimed, role: seen.role };
    try {
      return await this.now(claimed);
    } catch (error) {
      if (!isUnreachable(error)) throw error;
      return { ...claimed, role: seen?.role ?? claimed.role };
    }
  }

  /** What was seen of these people counts no longer: something of it was changed here. */
  forget(userId: string): void {
    for (const [sessionId, seen] of this.seen) if (seen.userId === userId) this.seen.delete(sessionId);
  }

  private remember({ sessionId, userId }: Principal, role: Role): void {
    this.seen.set(sessionId, { userId, role, at: performance.now() });
    const [oldest] = this.seen.keys();
    if (this.seen.size > mostSeen && oldest !== undefined) this.seen.delete(oldest);
  }

  private ask(sessionId: string): Promise<ReadonlyMap<string, Role>> {
    this.next ??= this.begin();
    this.next.ids.add(sessionId);
    return this.next.roles;
  }

  // Sent when the one before is answered, so that it sees all that was stored before anybody in it asked.
  private begin(): Batch {
    const ids = new Set<string>();
    const roles = this.outside(() =>
      this.last.then(() => {
        this.next = null;
        return this.lookUp([...ids]);
      }),
    );
    this.last = roles.catch(() => undefined);
    return { ids, roles };
  }
}
