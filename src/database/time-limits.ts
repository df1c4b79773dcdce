import type { Ahead, ServerLimits } from './ahead.ts';
import type { WireTerms } from './wire-terms.ts';

// The server is told anew what time is left when what it has in mind is further off than this. Where nobody asked for a time, the usual
// one is so long that a share of what is left is near enough, and short boundaries are spared the telling.
const staleMs = 25;
const staleShare = 0.05;

/** The limits of a transaction and of the boundaries in it: the server is told, in front of the statement that they hold for. */
export class TimeLimits {
  private readonly ends: number[];
  private readonly lockTimeouts: number[];
  private readonly longestMs: number;

  constructor(server: ServerLimits, terms: WireTerms) {
    this.ends = [terms.endsAt];
    this.lockTimeouts = [terms.lockTimeoutMs ?? server.lock_timeout];
    this.longestMs = terms.hasOwnTime ? Infinity : server.statement_timeout;
  }

  /** Until the limit is lifted, which the answer does. */
  add(endsAt: number, lockTimeoutMs: number): () => void {
    this.ends.push(endsAt);
    this.lockTimeouts.push(lockTimeoutMs);
    return () => {
      this.ends.splice(this.ends.lastIndexOf(endsAt), 1);
      this.lockTimeouts.splice(this.lockTimeouts.lastIndexOf(lockTimeoutMs), 1);
    };
  }

  /** Puts what has changed ahead of the next statement. Gives the milliseconds that it may last. */
  tell(ahead: Ahead): number {
    const left = Math.min(...this.ends) - performance.now();
    const statementMs = Math.max(1, Math.ceil(Math.min(this.longestMs, left)));
    const isAsked = this.longestMs === Infinity || this.ends.length > 1;
    ahead.tell('statement_timeout', statementMs, isAsked ? staleMs : Math.max(staleMs, staleShare * statementMs));
    ahead.tell('lock_timeout', Math.min(...this.lockTimeouts), 0);
    return statementMs;
  }
}
