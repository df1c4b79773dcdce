import type { Carrier, Connections } from './connection.ts';
import { contextNow } from './nesting.ts';

/** A connection that is taken when it is first needed. */
export class LazyConnection {
  client: Carrier | null = null;
  private connecting: Promise<void> | null = null;
  private isGivenUp = false;
  // Prisma sends the statements of several callers in the context of the first of them, which may be in other boundaries.
  private readonly whereItBegan = contextNow();
  private readonly givenUp = Promise.withResolvers<null>();

  constructor(private readonly connections: Connections) {}

  /** Whether it is kept, or about to be. */
  get isTaken(): boolean {
    return this.client !== null || this.connecting !== null;
  }

  isFrom(connections: Connections): boolean {
    return this.connections === connections;
  }

  /** Takes it, unless it is given up before it is there: then null, and nobody is kept waiting for a place. */
  async take(): Promise<Carrier | null> {
    if (this.client === null && !this.isGivenUp)
      await Promise.race([(this.connecting ??= this.connect()), this.givenUp.promise]);
    return this.client;
  }

  /**
   * The error of a statement, by its own name where the connection is at fault. `isOwnDoing`: a refusal to write would be the
   * transaction's own: it was begun to read, or has written here before, which no standby lets it.
   */
  judged(error: unknown, isOwnDoing: boolean): unknown {
    return isOwnDoing || this.client === null ? error : this.client.asWriter(error);
  }

  giveUp(): void {
    this.isGivenUp = true;
    this.givenUp.resolve(null);
  }

  giveBack(isWhole: boolean): void {
    const { client } = this;
    this.client = null;
    this.giveUp();
    // One with an open transaction would take what is in it along into the next COMMIT.
    if (client !== null) this.connections.giveBack(client, !isWhole || !client.isIdle);
  }

  private async connect(): Promise<void> {
    try {
      const client = await this.connections.takeConnection(this.whereItBegan);
      if (this.isGivenUp) this.connections.giveBack(client, false);
      else this.client = client;
    } finally {
      this.connecting = null;
    }
  }
}
