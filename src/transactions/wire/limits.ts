import type { ServerLimits } from './connection.ts';
import type { Preamble } from './preamble.ts';
import type { WireTerms } from './wire-terms.ts';

// The server is told anew what time is left when what it has in mind is further off than this. Where nobody asked for a time, the usual
// one is so long that a share of what is left is near enough, and short boundaries are spared the telling.
const staleMs = 25;
const staleShare = 0.05;
const silenceMs = 1000;
const shortestCommitMs = 50;

/** The limits of a transaction and of the boundaries in it: the server is told, in front of the statement that they hold for. */
export class TimeLimits {
  private readonly endsAt: number;
  private readonly ends: number[];
  private readonly lockTimeouts: number[];
  private readonly longestMs: number;

  constructor(server: ServerLimits, terms: WireTerms) {
    this.endsAt = terms.endsAt;
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

  /** Puts what has changed ahead of the next statement. */
  tell(ahead: Preamble): void {
    const statementMs = this.statementMs();
    // One inside that has no time of its own asks for nothing.
    const isAsked = this.longestMs === Infinity || Math.min(...this.ends) < this.endsAt;
    ahead.tell('statement_timeout', statementMs, isAsked ? staleMs : Math.max(staleMs, staleShare * statementMs));
    // To PostgreSQL, 0.4 would be no limit.
    ahead.tell('lock_timeout', Math.ceil(Math.min(...this.lockTimeouts)), 0);
  }

  /** How long the client waits for an answer. The server's own limit comes first; this one is for a server that has gone silent. */
  patienceMs(): number {
    return this.statementMs() + silenceMs;
  }

  /**
   * How long the client waits for the answer to COMMIT. What became of it is asked elsewhere, so that the time for asking is kept back: of
   * what is left half, and at most a second.
   */
  commitPatienceMs(): number {
    const left = this.endsAt - performance.now();
    if (left === Infinity) return this.patienceMs();
    return Math.max(shortestCommitMs, Math.ceil(left - Math.min(silenceMs, left / 2)));
  }

  private statementMs(): number {
    const left = Math.min(...this.ends) - performance.now();
    return Math.max(1, Math.ceil(Math.min(this.longestMs, left)));
  }
}
