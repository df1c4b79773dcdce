import { setTimeout as sleep } from 'node:timers/promises';
import { Inject, Injectable } from '@nestjs/common';
import { ClsServiceManager } from 'nestjs-cls';
import type { Config } from '../../config/config.ts';
import { DatabaseConfig } from '../../config/slices.ts';
import { DatabaseClients } from '../../database/database-clients.ts';
import type { WireTransaction } from '../wire/transaction.ts';
import { PrimaryPosition } from './primary-position.ts';
import { WatermarkCache } from './watermark-cache.ts';
import { higher, isLowest, lowest, type Lsn, lsnOf, parseLsn, type Watermark } from './watermark.ts';

// Whoever wrote before so many others did is remembered by the floor. Some 2 MB.
const rememberedCallers = 10_000;

/** A position that a caller shows or is shown; `latest` where it could not be found out: whatever is stored by now. */
export type Token = Lsn | 'latest';

/** Somebody whose reads follow the writes, for the length of a request or a job. */
export class Follower {
  constructor(
    /** By which name its writes are remembered; null as nobody in particular. Asked at each read and write: it may come to be known later. */
    readonly key: () => string | null,
    /** What it has shown, and what it has written since. */
    public watermark: Watermark,
  ) {}
}

/** Knows what a read must see: what its caller has shown, what this instance has stored for that caller, and what it has stored for nobody. */
@Injectable()
export class Consistency {
  private readonly cls = ClsServiceManager.getClsService();
  private readonly primary: PrimaryPosition;
  private readonly written = new WatermarkCache(rememberedCallers);
  // Of this application: another one in the process has another database.
  private readonly ambient = Symbol('follower');

  constructor(
    private readonly databases: DatabaseClients,
    @Inject(DatabaseConfig.KEY) private readonly config: Config['database'],
  ) {
    this.primary = new PrimaryPosition(databases.write.pool);
  }

  /** Somebody who has shown this token, or none. What was shown is believed for this one only: nobody else waits for it. */
  follower(key: () => string | null, shown: Token | null): Follower {
    if (shown === 'latest') return new Follower(key, this.primary.afterUntold());
    return new Follower(key, shown === null ? lowest : { lsn: shown, untold: null });
  }

  /** Runs the work, and whatever it starts, for this follower: its reads see what it has shown and written. */
  follow<T>(follower: Follower, work: () => T): T {
    return this.cls.run({ ifNested: 'inherit' }, () => {
      this.cls.set(this.ambient, follower);
      return work();
    });
  }

  /** By which name the work in this context is somebody's; null for nobody's in particular. */
  caller(): string | null {
    return this.current()?.key() ?? null;
  }

  /**
   * To be called after a write ended, however it ended; null for one outside any boundary. Without a replica, too: the caller may read on
   * an instance that has one.
   */
  wrote(wire: WireTransaction | null): void {
    if (!this.databases.hasPositions) return;
    const watermark = this.watermarkOf(wire);
    if (isLowest(watermark)) return;
    const follower = this.current();
    if (follower !== null) follower.watermark = higher(follower.watermark, watermark);
    const isForItsWriter = this.config.readConsistency === 'caller';
    this.written.raise(isForItsWriter ? (follower?.key() ?? null) : null, watermark);
  }

  /** What a read in this context must see. */
  required(): Watermark {
    const follower = this.current();
    return higher(this.written.of(follower?.key() ?? null), follower?.watermark ?? lowest);
  }

  /** The position of a watermark; asks the primary when it must. Rejects when that cannot be asked. */
  lsnOf(watermark: Watermark): Promise<Lsn> {
    return this.primary.of(watermark);
  }

  /** What to show so that a read, on whichever instance, sees what this one has shown and written; null for nothing. Never rejects. */
  async tokenOf({ watermark }: Follower): Promise<Token | null> {
    if (isLowest(watermark)) return null;
    const known = lsnOf(watermark);
    if (known !== null) return known;
    const over = sleep(this.config.replicaWaitMs, null, { ref: false });
    return (await Promise.race([this.lsnOf(watermark).catch(() => null), over])) ?? 'latest';
  }

  private current(): Follower | null {
    return this.cls.isActive() ? (this.cls.get<Follower | undefined>(this.ambient) ?? null) : null;
  }

  private watermarkOf(wire: WireTransaction | null): Watermark {
    if (wire === null) return this.primary.afterUntold();
    const { state, id, position } = wire;
    const isStoredNowhere = state === 'rolled-back' || state === 'lost' || (state === 'committed' && id === null);
    if (isStoredNowhere) return lowest;
    return position === null ? this.primary.afterUntold() : { lsn: parseLsn(position), untold: null };
  }
}
