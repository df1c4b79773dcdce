/** The bounds of a stage: how many connections may be in it at a time, how many of one address, and how many bytes they may hold together. */
export interface StageBounds {
  readonly most: number;
  readonly mostOfAddress: number;
  readonly mostBytes: number;
}

/** One that is in the stage. */
interface Presence {
  readonly address: string;
  readonly bytes: number;
  readonly cut: () => void;
}

/**
 * A stage of a connection in which the other side sets the pace: sending a body, taking an answer. Where it is full, the one that has been
 * in it longest is cut, of the same address where that has too many: whoever is quick is never the longest, however many are slow.
 */
export class Stage {
  private readonly present = new Set<Presence>();
  private readonly byAddress = new Map<string, Set<Presence>>();
  private bytes = 0;

  constructor(private readonly bounds: StageBounds) {}

  /** Gives what is called when the stage is over; `cut` ends it before that, and then the call does nothing. */
  enter(address: string, bytes: number, cut: () => void): () => void {
    const network = networkOf(address);
    const presence = { address: network, bytes, cut };
    const neighbours = this.byAddress.get(network) ?? new Set();
    this.byAddress.set(network, neighbours);
    if (neighbours.size >= this.bounds.mostOfAddress) this.cutFirst(neighbours);
    while (this.present.size >= this.bounds.most || this.isOverfull(bytes)) this.cutFirst(this.present);
    this.present.add(presence);
    neighbours.add(presence);
    this.byAddress.set(network, neighbours);
    this.bytes += bytes;
    return () => void this.leave(presence);
  }

  private isOverfull(bytes: number): boolean {
    return this.present.size > 0 && this.bytes + bytes > this.bounds.mostBytes;
  }

  private cutFirst(among: ReadonlySet<Presence>): void {
    const [first] = among;
    if (first !== undefined && this.leave(first)) first.cut();
  }

  private leave(presence: Presence): boolean {
    if (!this.present.delete(presence)) return false;
    const neighbours = this.byAddress.get(presence.address);
    neighbours?.delete(presence);
    if (neighbours?.size === 0) this.byAddress.delete(presence.address);
    this.bytes -= presence.bytes;
    return true;
  }
}

/** What counts as one address: of IPv6 a network of 64 bits, which one household has; IPv4 also where it is written as IPv6. */
export function networkOf(address: string): string {
  if (!address.includes(':')) return address;
  const [, mapped] = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i.exec(address) ?? [];
  if (mapped !== undefined) return mapped;
  const [head = '', tail] = address.split('::');
  const groups = head.split(':').filter((group) => group !== '');
  const rest = (tail ?? '').split(':').filter((group) => group !== '');
  const zeros = tail === undefined ? [] : Array.from({ length: 8 - groups.length - rest.length }, () => '0');
  return [...groups, ...zeros, ...rest].slice(0, 4).join(':');
}
