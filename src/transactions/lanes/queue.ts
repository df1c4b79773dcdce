/** What waits in a queue: whose it is, and until when it may wait. */
export interface Waiting {
  /** Callers take turns. */
  readonly caller: string;
  /** As `performance.now()` counts. */
  readonly endsAt: number;
}

/**
 * A bounded queue whose callers take turns: one that has queued a thousand commands delays another one's single command by one of them. The
 * commands of one caller stay in their order.
 */
export class FairQueue<W extends Waiting> {
  private readonly lines = new Map<string, W[]>();
  private count = 0;

  constructor(private readonly most: number) {}

  get length(): number {
    return this.count;
  }

  /** False when it is full: of all that may wait one caller may have half. */
  push(one: W): boolean {
    const line = this.lines.get(one.caller) ?? [];
    if (this.count >= this.most || line.length >= this.most / 2) return false;
    line.push(one);
    this.lines.set(one.caller, line);
    this.count++;
    return true;
  }

  /** Takes out up to so many of those that may go, one of each caller in turn. */
  take(most: number, mayGo: (one: W) => boolean = () => true): W[] {
    const taken: W[] = [];
    for (let round = this.takeRound(most, mayGo); round.length > 0; round = this.takeRound(most - taken.length, mayGo))
      taken.push(...round);
    return taken;
  }

  /** Takes out those whose time is over. */
  takeExpired(now: number): W[] {
    const expired: W[] = [];
    for (const [caller, line] of this.lines) {
      const left = line.filter((one) => one.endsAt > now || !expired.push(one));
      if (left.length === 0) this.lines.delete(caller);
      else this.lines.set(caller, left);
    }
    this.count -= expired.length;
    return expired;
  }

  /** When the first of them has waited long enough; null when none waits. */
  get firstEnd(): number | null {
    if (this.count === 0) return null;
    let first = Infinity;
    for (const line of this.lines.values()) first = Math.min(first, ...line.slice(0, 1).map(({ endsAt }) => endsAt));
    return first;
  }

  /** The first of each caller that may go; whoever was served stands last from now on. */
  private takeRound(most: number, mayGo: (one: W) => boolean): W[] {
    const served: W[] = [];
    for (const [caller, line] of [...this.lines]) {
      const place = served.length < most ? line.findIndex(mayGo) : -1;
      if (place < 0) continue;
      served.push(...line.splice(place, 1));
      this.lines.delete(caller);
      if (line.length > 0) this.lines.set(caller, line);
    }
    this.count -= served.length;
    return served;
  }
}
