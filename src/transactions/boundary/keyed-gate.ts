interface Gate {
  inside: number;
  readonly line: (() => void)[];
}

/**
 * Lets so many in at a time for each key; the others stand in line, without holding anything, in the order of their coming. What it remembers
 * is bounded by those who are inside or in line.
 */
export class KeyedGate {
  private readonly gates = new Map<string, Gate>();

  constructor(private readonly most: number) {}

  /** How many keys somebody is inside of, or in line for. */
  get size(): number {
    return this.gates.size;
  }

  /** Whether there was a place within so many milliseconds; then `leave` gives it back. */
  async enter(key: string, waitMs: number): Promise<boolean> {
    const gate = this.gates.get(key) ?? { inside: 0, line: [] };
    this.gates.set(key, gate);
    if (gate.inside < this.most) {
      gate.inside++;
      return true;
    }
    return waitMs > 0 && (await stand(gate.line, waitMs));
  }

  leave(key: string): void {
    const gate = this.gates.get(key);
    if (gate === undefined) return;
    const next = gate.line.shift();
    if (next !== undefined) next();
    else if (--gate.inside === 0) this.gates.delete(key);
  }
}

function stand(line: (() => void)[], waitMs: number): Promise<boolean> {
  return new Promise((resolve) => {
    const admit = (): void => {
      clearTimeout(timer);
      resolve(true);
    };
    const timer = setTimeout(() => {
      line.splice(line.indexOf(admit), 1);
      resolve(false);
    }, waitMs);
    line.push(admit);
  });
}
