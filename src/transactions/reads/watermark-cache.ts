import { higher, lowest, type Watermark } from './watermark.ts';

/**
 * What each of many has written, in bounded memory. Whoever wrote longest ago is forgotten first, and what is forgotten raises the floor,
 * which holds for everybody: forgetting can make a read wait, but never lets it miss a write.
 */
export class WatermarkCache {
  private readonly watermarks = new Map<string, Watermark>();
  private floor = lowest;

  /** Remembers at most `size` of them. */
  constructor(private readonly size: number) {}

  /** What somebody must see; without a key, what everybody must. */
  of(key: string | null): Watermark {
    const own = key === null ? undefined : this.watermarks.get(key);
    return own === undefined ? this.floor : higher(own, this.floor);
  }

  /** Something was written by somebody; without a key everybody is to see it. */
  raise(key: string | null, watermark: Watermark): void {
    if (key === null) {
      this.floor = higher(this.floor, watermark);
      return;
    }
    const raised = higher(this.watermarks.get(key) ?? lowest, watermark);
    // A Map keeps the order of insertion: the first one is the one that wrote longest ago.
    this.watermarks.delete(key);
    this.watermarks.set(key, raised);
    if (this.watermarks.size > this.size) this.forgetOldest();
  }

  private forgetOldest(): void {
    for (const [key, watermark] of this.watermarks) {
      this.watermarks.delete(key);
      this.floor = higher(this.floor, watermark);
      return;
    }
  }
}
