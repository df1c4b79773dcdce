import { AsyncLocalStorage } from 'node:async_hooks';
import type { Pool } from '../wire/pool.ts';
import { higher, type Lsn, lsnOf, parseLsn, type Untold, type Watermark } from './watermark.ts';

// Flushed, not inserted: a COMMIT is acknowledged when its WAL is flushed, and what is not flushed yet may not be sent to a standby for a while.
const flushed = { name: 'wal_position', text: 'SELECT pg_current_wal_flush_lsn()::text AS answer' };

/**
 * Finds the position of writes that did not tell theirs: those outside boundaries, and those whose connection broke behind COMMIT.
 * One question, asked when somebody has to know, answers for all that had ended by then.
 */
export class PrimaryPosition {
  private number = 0;
  /** Takes the writes that end now; null when none has ended since the last question was asked. */
  private current: Untold | null = null;
  private unanswered: readonly Untold[] = [];
  private asking: { readonly upTo: number; readonly answer: Promise<Lsn> } | null = null;
  // A question is shared, and must not belong to the boundary of whoever asks first.
  private readonly outside = AsyncLocalStorage.snapshot();

  constructor(private readonly pool: Pool) {}

  /** The watermark of a write that has just ended, however it ended: it may be stored. */
  afterUntold(): Watermark {
    if (this.current === null) {
      this.current = { number: ++this.number, lsn: null };
      this.unanswered = [...this.unanswered, this.current];
    }
    return { lsn: 0n, untold: this.current };
  }

  /** The position that holds all that the watermark holds; asks the primary when it must. Rejects when that cannot be asked. */
  async of(watermark: Watermark): Promise<Lsn> {
    const known = lsnOf(watermark);
    if (known !== null) return known;
    // One that was asked before the write ended may have been answered before it was stored.
    if (this.asking === null || this.asking.upTo < (watermark.untold?.number ?? 0)) this.asking = this.ask();
    const lsn = await this.asking.answer;
    return higher(watermark, { lsn, untold: null }).lsn;
  }

  private ask(): { upTo: number; answer: Promise<Lsn> } {
    const asking = { upTo: this.number, answer: this.outside(() => askFlushed(this.pool)) };
    this.current = null;
    const over = (): void => {
      if (this.asking === asking) this.asking = null;
    };
    asking.answer.then((lsn) => {
      this.settle(asking.upTo, lsn);
      over();
    }, over);
    return asking;
  }

  private settle(upTo: number, lsn: Lsn): void {
    for (const untold of this.unanswered) if (untold.number <= upTo) untold.lsn = lsn;
    this.unanswered = this.unanswered.filter((untold) => untold.lsn === null);
  }
}

async function askFlushed(pool: Pool): Promise<Lsn> {
  const { rows } = await pool.query<{ answer: string }>(flushed);
  return parseLsn(rows[0]?.answer ?? '');
}
