/** Where a lock is asked for. */
export interface LockSite {
  readonly table: string;
  /** What the boundary is called. */
  readonly boundary: string;
  /** The frames of whoever called `lockRows`. */
  readonly stack: string;
}

/** A transaction held rows of the first table and waited for rows of the second. */
export interface LockEdge {
  readonly held: LockSite;
  readonly wanted: LockSite;
}

interface Lock {
  readonly site: LockSite;
  readonly ids: ReadonlySet<string>;
  /** The hooks of the transaction or savepoint that holds it: they are the same for all boundaries that share it. */
  level: object;
}

/** The requester of a lock: a transaction, and the savepoint in it. Compared by identity. */
export interface LockOwner {
  readonly transaction: object;
  readonly hooks: object;
}

/**
 * The order in which all transactions take locks, as a graph: a cycle in it is a possible deadlock. Tables are the nodes, because two
 * opposite orders of the same tables deadlock sooner or later, whichever rows a test has used. Within a table `lockRows` keeps the order of the ids, so
 * a later call that goes back behind an id it holds is a cycle by itself.
 */
export class LockOrder {
  private readonly locks = new WeakMap<object, Lock[]>();
  // Asked for and not answered yet: what is asked for meanwhile is locked behind them.
  private readonly wanted = new WeakMap<object, Lock[]>();
  private readonly found = new Map<string, LockEdge>();

  get edges(): LockEdge[] {
    return [...this.found.values()];
  }

  /** Called before a wait for rows. Rows that the transaction already holds need no wait. */
  wants(owner: LockOwner, site: LockSite, ids: readonly string[]): void {
    const held = this.heldBy(owner);
    const fresh = ids.filter((id) => !held.some((lock) => lock.site.table === site.table && lock.ids.has(id)));
    if (fresh.length === 0) return;
    const isBefore = (id: string): boolean => fresh.some((one) => one < id);
    const ahead = this.wanted.get(owner.transaction) ?? [];
    for (const { site: before, ids: others } of [...held, ...ahead])
      if (before.table !== site.table || [...others].some(isBefore)) this.add({ held: before, wanted: site });
    this.wanted.set(owner.transaction, [...ahead, { site, ids: new Set(fresh), level: owner.hooks }]);
  }

  /** The rows are locked, or were not to be had. */
  wantsNoMore({ transaction }: LockOwner, site: LockSite): void {
    const left = (this.wanted.get(transaction) ?? []).filter((one) => one.site !== site);
    this.wanted.set(transaction, left);
  }

  /** Called after the rows were locked. */
  has({ transaction, hooks }: LockOwner, site: LockSite, ids: ReadonlySet<string>): void {
    const held = this.heldBy({ transaction });
    held.push({ site, ids, level: hooks });
    this.locks.set(transaction, held);
  }

  /** The savepoint was released: its locks now belong to the enclosing savepoint or transaction. */
  kept(savepoint: LockOwner, outer: LockOwner): void {
    for (const lock of this.heldBy(savepoint)) if (lock.level === savepoint.hooks) lock.level = outer.hooks;
  }

  /** The savepoint was rolled back, which releases the locks that were taken in it. */
  undone(savepoint: LockOwner): void {
    const left = this.heldBy(savepoint).filter(({ level }) => level !== savepoint.hooks);
    this.locks.set(savepoint.transaction, left);
  }

  private heldBy({ transaction }: Pick<LockOwner, 'transaction'>): Lock[] {
    return this.locks.get(transaction) ?? [];
  }

  // One example of each is enough.
  private add(edge: LockEdge): void {
    const { held, wanted } = edge;
    const key = [held.table, wanted.table, held.boundary, wanted.boundary].join('\n');
    if (!this.found.has(key)) this.found.set(key, edge);
  }
}

// Nothing is recorded in production: each lockRows then costs one comparison.
let recorder: LockOrder | null = null;
export const lockOrder = (): LockOrder | null => recorder;

/** Starts recording the order of locks here; `null` stops it. For tests. */
export function recordLockOrder(into: LockOrder | null): void {
  recorder = into;
}

const deepestStack = 60;
const notTheirs = /node:internal|node_modules|src\/transactions\//;

/** The frames of the stack that belong neither to the core nor to a package, including async callers. */
export function callerFrames(): string {
  const usual = Error.stackTraceLimit;
  Error.stackTraceLimit = deepestStack;
  const { stack = '' } = new Error();
  Error.stackTraceLimit = usual;
  const frames = stack.split('\n').filter((line) => /^\s+at /.test(line) && !notTheirs.test(line));
  return frames.join('\n');
}

/** The cycles of the graph, shortest first, each once. */
export function lockCycles(edges: readonly LockEdge[]): LockEdge[][] {
  const cycles = new Map<string, LockEdge[]>();
  for (const edge of edges) {
    const back = edge.held.table === edge.wanted.table ? [] : wayBack(edges, edge);
    if (back === null) continue;
    const cycle = [edge, ...back];
    const tables = cycle.map(({ held }) => held.table);
    cycles.set([...tables].sort().join(), cycles.get([...tables].sort().join()) ?? cycle);
  }
  return [...cycles.values()].sort((one, other) => one.length - other.length);
}

// Breadth-first search. Of several edges between the same tables the first one is used.
function wayBack(edges: readonly LockEdge[], { held: goal, wanted: start }: LockEdge): LockEdge[] | null {
  const ways = new Map<string, LockEdge[]>([[start.table, []]]);
  for (const [table, way] of ways) {
    if (table === goal.table) return way;
    const onward = edges.filter(({ held, wanted }) => held.table === table && !ways.has(wanted.table));
    for (const edge of onward) ways.set(edge.wanted.table, [...way, edge]);
  }
  return null;
}

/** What is wrong, for a person: each edge of the cycle with both places. */
export function describeCycle(cycle: readonly LockEdge[]): string {
  const tables = [...cycle.map(({ held }) => held.table), cycle[0]?.held.table ?? ''];
  const parts = cycle.map(
    ({ held, wanted }) =>
      `  ${held.table}, locked in ${held.boundary}\n${held.stack}\n  and then ${wanted.table}${direction(held, wanted)}, in ${wanted.boundary}\n${wanted.stack}`,
  );
  return `Locks are taken in a circle, ${tables.join(' → ')}: two that meet wait for each other.\n${parts.join('\n')}`;
}

const direction = (held: LockSite, wanted: LockSite): string =>
  held.table === wanted.table ? ' again, with an id before one it holds' : '';
