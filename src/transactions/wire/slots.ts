import type { DatabaseClient } from '../../database/database-client.ts';
import type { Prisma } from '../../database/generated/client.ts';
import { SlotConnection } from './prisma-connections.ts';
import { RawStatements } from './raw-statements.ts';
import type { WireTransaction } from './transaction.ts';

// Prisma's own clock must never end one; ours does. The longest time that a timer of Node takes, about 24 days.
const longestMs = 2 ** 31 - 1;
const maxWaitMs = 5000;
// A slot is renewed long before that, and after so many boundaries.
const oldestMs = 3_600_000;
const mostUses = 10_000;

/** A transaction of Prisma's that is kept open and serves one boundary after the other. */
export interface Slot {
  readonly transaction: Prisma.TransactionClient;
  readonly connection: SlotConnection;
  readonly raw: RawStatements;
  readonly openedAt: number;
  uses: number;
  /** Lets Prisma close it. */
  readonly close: () => void;
}

/**
 * The transactions of Prisma's that boundaries use. To begin one costs more than a statement, almost all of it in making a client for
 * it, so it is begun once and carries a transaction on the wire after the other. Prisma keeps the statements of each apart from all others.
 */
export class Slots {
  private readonly free: Slot[] = [];

  constructor(private readonly client: DatabaseClient) {}

  /** A slot that carries this transaction from now on. */
  async take(wire: WireTransaction): Promise<Slot> {
    const slot = this.free.pop() ?? (await this.open());
    slot.uses++;
    slot.connection.carry(wire);
    return slot;
  }

  /**
   * Takes it back. `isQuiet` says that nothing of its boundary can reach it any more; without that it keeps its ended transaction, which
   * refuses whatever comes late, and serves nobody else.
   */
  giveBack(slot: Slot, isQuiet: boolean): void {
    if (!isQuiet) return slot.close();
    slot.connection.carry(null);
    const isWorn = slot.uses >= mostUses || performance.now() - slot.openedAt > oldestMs;
    if (isWorn || this.free.length >= this.client.pool.options.max) slot.close();
    else this.free.push(slot);
  }

  private async open(): Promise<Slot> {
    const connection = new SlotConnection();
    const { pool, prisma, driver } = this.client;
    const adapter = await driver;
    const raw = new RawStatements(await pool.lending(connection, () => adapter.startTransaction()));
    return new Promise((resolve, reject) => {
      const untilClosed = (transaction: Prisma.TransactionClient): Promise<void> =>
        new Promise((close) =>
          resolve(known({ transaction, connection, raw, openedAt: performance.now(), uses: 0, close })),
        );
      pool
        .lending(connection, () => prisma.$transaction(untilClosed, { maxWait: maxWaitMs, timeout: longestMs }))
        .catch(reject);
    });
  }
}

// The context knows Prisma's transaction only.
const rawStatements = new WeakMap<Prisma.TransactionClient, RawStatements>();

function known(slot: Slot): Slot {
  rawStatements.set(slot.transaction, slot.raw);
  return slot;
}

/** What sends the raw statements of a transaction; null where Prisma itself does. */
export const rawStatementsOf = (transaction: Prisma.TransactionClient): RawStatements | null =>
  rawStatements.get(transaction) ?? null;

/** Those of each client. */
export class SlotsOfClients {
  private readonly slots = new Map<DatabaseClient, Slots>();

  of(client: DatabaseClient): Slots {
    const slots = this.slots.get(client) ?? new Slots(client);
    this.slots.set(client, slots);
    return slots;
  }
}
