/** How many statements of a transaction are under way, and how long there was none between two of them. */
export class UnderWay {
  count = 0;
  /** Milliseconds for which the server has waited for the next statement. */
  idleMs = 0;
  private quietSince = 0;

  begin(): void {
    if (this.count === 0 && this.quietSince > 0) this.idleMs += performance.now() - this.quietSince;
    this.count++;
  }

  end(): void {
    this.count--;
    if (this.count === 0) this.quietSince = performance.now();
  }
}
