/**
 * Up to where events may be read. Positions are drawn before COMMIT, so one that is missing may still be stored: what is read must end before
 * it, or it would be passed over for ever. It is missing for good when all transactions that could store it have ended.
 */
export interface Horizon {
  /** Every event up to here is visible, or was never stored. */
  readonly position: bigint;
  /** Positions up to here are settled when all transactions before `settledBy` have ended; null while none is missing. */
  readonly watermark: bigint | null;
  /** A transaction id. */
  readonly settledBy: bigint | null;
}

/** What there is behind the horizon. */
export interface Ahead {
  /** Up to where no position is missing. */
  readonly contiguous: bigint;
  /** The last position that was looked at. */
  readonly last: bigint;
  /** The transaction id that the server gives out next, not before the positions were looked at. */
  readonly nextId: bigint;
}

/** The horizon after what was seen. `oldestRunning`: the oldest transaction that had not ended, not after the positions were looked at. */
export function advanced(horizon: Horizon, oldestRunning: bigint, { contiguous, last, nextId }: Ahead): Horizon {
  const { watermark, settledBy } = horizon;
  const isSettled = watermark !== null && settledBy !== null && oldestRunning >= settledBy;
  const position = isSettled && watermark > contiguous ? watermark : contiguous;
  if (position >= last) return { position, watermark: null, settledBy: null };
  // Ids that this server has not given out are of another one: the database was filled from a dump.
  const isWaited = watermark !== null && settledBy !== null && watermark > position && settledBy <= nextId;
  return isWaited ? { ...horizon, position } : { position, watermark: last, settledBy: nextId };
}
