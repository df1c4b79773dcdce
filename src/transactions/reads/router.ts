import { setTimeout as sleep } from 'node:timers/promises';
import { Inject, Injectable } from '@nestjs/common';
import type { Config } from '../../config/config.ts';
import { DatabaseConfig } from '../../config/slices.ts';
import type { DatabaseClient } from '../../database/database-client.ts';
import { DatabaseClients } from '../../database/database-clients.ts';
import { type ReplicaRead, replicaRead, type Trouble } from '../boundary/channels.ts';
import { noteOrigin } from '../boundary/error-origins.ts';
import { isConflict, reasonOf } from '../boundary/named-errors.ts';
import type { Call } from '../client/routing-client.ts';
import { CommitOutcomeUnknownError } from '../errors.ts';
import { StaleSessionError } from '../wire/errors.ts';
import { hadNoPlace, isOutcomeUnknown, isReadOnlyRefusal, isUnreachable } from '../wire/postgres-errors.ts';
import type { WireTransaction } from '../wire/transaction.ts';
import { Consistency } from './consistency.ts';
import { Replica } from './replica.ts';
import { type Lsn, lsnOf, type Watermark } from './watermark.ts';

/** Decides which client a read outside a write boundary uses, so that it sees what it must (see Consistency). */
@Injectable()
export class ReadRouter {
  private readonly replicas: readonly Replica[];
  private turn = 0;

  constructor(
    private readonly databases: DatabaseClients,
    private readonly consistency: Consistency,
    @Inject(DatabaseConfig.KEY) private readonly config: Config['database'],
  ) {
    this.replicas = databases.replicas.map((client) => new Replica(client));
  }

  /** Runs a call outside any boundary: a read where it sees what it must, all else on the primary. */
  plain(call: Call): Promise<unknown> {
    return call.kind === 'read' ? this.read(call) : this.write(call);
  }

  /** To be called after a write ended, however it ended: a failed one may have been stored. */
  wrote(wire: WireTransaction | null): void {
    this.consistency.wrote(wire);
  }

  /**
   * A replica that holds what a read in this context must see; else the primary. One that is not known to hold it is waited for, at most
   * `DATABASE_REPLICA_WAIT_MS` and not beyond `endsAt` (`performance.now()`).
   */
  async client(endsAt = Infinity): Promise<DatabaseClient> {
    const { write, hasReplica } = this.databases;
    if (!hasReplica || this.config.readConsistency === 'primary') return write;
    const watermark = this.consistency.required();
    const lsn = lsnOf(watermark);
    const replica = lsn === null ? null : this.next(lsn);
    return replica?.client ?? (await this.waited(watermark, endsAt)) ?? write;
  }

  /**
   * Whether what failed there with this error is to be asked of the primary. A replica that could not be reached is left alone until it
   * answers again; one that had no place left, or that recovery came first for, stays in use.
   */
  passesOn(client: DatabaseClient, error: unknown): boolean {
    const trouble = client === this.databases.write ? null : troubleOf(error);
    if (trouble === null) return false;
    if (trouble === 'lost') this.replicas.find((replica) => replica.client === client)?.lose(error);
    tell({ replica: client.name, result: trouble, waitMs: 0 });
    return true;
  }

  // Those that hold it take turns.
  private next(lsn: Lsn): Replica | null {
    const able = this.replicas.filter((replica) => replica.has(lsn));
    const replica = able[this.turn++ % able.length] ?? null;
    replica?.confirm();
    return replica;
  }

  private async waited(watermark: Watermark, endsAt: number): Promise<DatabaseClient | null> {
    const startedAt = performance.now();
    const alive = this.replicas.filter(({ isLost }) => !isLost);
    const replica = alive.length === 0 ? null : await this.first(alive, watermark, endsAt - startedAt);
    const missed = alive.some(({ isLost }) => !isLost) ? 'behind' : 'lost';
    tell({
      replica: (replica ?? onlyOf(alive))?.client.name ?? null,
      result: replica === null ? missed : 'replica',
      waitMs: performance.now() - startedAt,
    });
    return replica?.client ?? null;
  }

  // All are asked: one of them may stand still.
  private async first(alive: readonly Replica[], watermark: Watermark, leftMs: number): Promise<Replica | null> {
    const decided = new AbortController();
    const waitMs = Math.max(0, Math.min(this.config.replicaWaitMs, leftMs));
    const over = sleep(waitMs, null, { ref: false, signal: decided.signal }).catch(() => null);
    try {
      const lsn = await Promise.race([this.consistency.lsnOf(watermark).catch(() => null), over]);
      return lsn === null ? null : await firstToReach(lsn, alive, over);
    } finally {
      decided.abort();
    }
  }

  private async read(call: Call): Promise<unknown> {
    const client = await this.client();
    try {
      return await freshly(call, client);
    } catch (error) {
      if (!this.passesOn(client, error)) throw arisenIn(call, error);
      return freshly(call, this.databases.write);
    }
  }

  private async write(call: Call): Promise<unknown> {
    try {
      return await freshly(call, this.databases.write);
    } catch (error) {
      throw arisenIn(call, isOutcomeUnknown(error) ? new CommitOutcomeUnknownError(call.name, error) : error);
    } finally {
      this.wrote(null);
    }
  }
}

const arisenIn = (call: Call, error: unknown): unknown =>
  noteOrigin(error, { call: call.name, calledAt: call.site.framesWith(new Error()) });

// Tables may change again meanwhile.
const mostSessions = 3;

/**
 * Does it again, on a session made since, when the one it had could not serve it: that says that nothing was done. A write that is refused
 * because its session only reads has met a standby in the primary's place.
 */
async function freshly(call: Call, client: DatabaseClient, sessions = mostSessions): Promise<unknown> {
  try {
    return await call.on(client.prisma);
  } catch (error) {
    const isOnStandby = call.kind !== 'read' && isReadOnlyRefusal(error);
    if (sessions === 1 || !(isOnStandby || error instanceof StaleSessionError)) throw error;
    if (isOnStandby) client.pool.renew();
  }
  return freshly(call, client, sessions - 1);
}

/** Null when `over` comes first, or all are lost. */
function firstToReach(lsn: Lsn, replicas: readonly Replica[], over: Promise<null>): Promise<Replica | null> {
  const reaching = replicas.map(async (replica) =>
    (await replica.reaches(lsn, over)) ? replica : Promise.reject(behind),
  );
  return Promise.any(reaching).catch(() => null);
}

/** What kept a replica from answering; null when the read itself is at fault. */
function troubleOf(thrown: unknown): Trouble | null {
  const error = reasonOf(thrown);
  if (hadNoPlace(error)) return 'full';
  if (isUnreachable(error)) return 'lost';
  // A standby has no writers that a read could conflict with: only its recovery, which does not wait for readers for ever.
  return isConflict(error) ? 'cancelled' : null;
}

const behind = new Error('The replica is behind.');
const onlyOf = <T>(list: readonly T[]): T | null => (list.length === 1 ? (list[0] ?? null) : null);

function tell(event: ReplicaRead): void {
  if (replicaRead.hasSubscribers) replicaRead.publish(event);
}
