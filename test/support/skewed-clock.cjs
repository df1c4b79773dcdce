// Loaded before a service that a test starts: its wall clock is wrong by CLOCK_SKEW_MS. Its monotonic clock is not, as on a machine whose time was set.
const skewMs = Number(process.env.CLOCK_SKEW_MS);
const RightDate = Date;

class SkewedDate extends RightDate {
  constructor(...given) {
    if (given.length === 0) super(RightDate.now() + skewMs);
    else super(...given);
  }

  static now() {
    return RightDate.now() + skewMs;
  }
}

globalThis.Date = SkewedDate;
