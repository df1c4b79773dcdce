import type { ServerLimits } from './connection.ts';
import type { Ahead } from './flight.ts';

interface Savepoint {
  readonly name: string;
  /** What the server had been told when it was set: going back to it takes later tellings back. */
  readonly told: ServerLimits;
}

/**
 * What goes in front of the next statement, in its flight: BEGIN, settings, savepoints and their release. So a nested boundary costs no
 * round trip, and none at all is sent of one that said nothing.
 */
export class Preamble {
  private lines: Ahead[] = [];
  private readonly savepoints: Savepoint[] = [];

  /** `told` is what the server has in mind. */
  constructor(private told: ServerLimits) {}

  /** `told`: what the server has in mind, where that is known by now. */
  begin(opening: readonly Ahead[], told = this.told): void {
    this.told = told;
    this.lines.unshift(...opening);
  }

  /** Tells the server a limit, unless what it has in mind is no further off than this. */
  tell(limit: keyof ServerLimits, wantedMs: number, toleranceMs: number): void {
    if (Math.abs(wantedMs - this.told[limit]) <= toleranceMs) return;
    this.told = { ...this.told, [limit]: wantedMs };
    this.lines.push(`SET LOCAL ${limit} = ${wantedMs}`);
  }

  savepoint(name: string): void {
    this.savepoints.push({ name, told: this.told });
    this.lines.push(`SAVEPOINT ${name}`);
  }

  release(name: string): void {
    this.savepoints.pop();
    const unsent = this.lines.indexOf(`SAVEPOINT ${name}`);
    if (unsent === -1) this.lines.push(`RELEASE SAVEPOINT ${name}`);
    else this.lines.splice(unsent, 1);
  }

  /** Takes back what was to be sent since the savepoint. Whether the server has to go back as well. */
  backTo(name: string): boolean {
    this.told = this.savepoints.at(-1)?.told ?? this.told;
    const unsent = this.lines.indexOf(`SAVEPOINT ${name}`);
    this.lines.length = unsent + 1;
    return unsent === -1;
  }

  /** All of it, for the flight that leaves now. */
  take(): readonly Ahead[] {
    const taken = this.lines;
    this.lines = [];
    return taken;
  }
}
