import type { Connection } from './connection.ts';

/** Tells the connections that were made before a stale one was found from those made since: the same has happened to all of them. */
export class Generations {
  private current = 0;
  private readonly madeIn = new WeakMap<Connection, number>();

  /** Whether it was made since the last one that was stale. One that is not known yet was made now. */
  isCurrent(connection: Connection): boolean {
    const generation = this.madeIn.get(connection) ?? this.current;
    this.madeIn.set(connection, generation);
    return generation === this.current;
  }

  /** Those that there are were made before. */
  renew(): void {
    this.current++;
  }

  /** To be called with each connection that comes back. */
  judge(connection: Connection): void {
    if (connection.isStale && this.isCurrent(connection)) this.renew();
  }
}
