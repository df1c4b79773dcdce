/** The largest page of a list, in the units of {@link sizeOf}. One thing is shown however large it is. */
export const largestPage = 393_216;
/** The largest answer with what `expand` adds: as much again as the largest page. */
export const largestExpanded = 2 * largestPage;

// What a value costs besides its text: its name, and the work to read, check and write it.
const eachValue = 32;

/** About how many bytes a value has as JSON, whatever is nested in it; a value counts as 32 beside the length of its text. */
export function sizeOf(value: unknown): number {
  if (typeof value === 'string') return eachValue + value.length;
  if (typeof value !== 'object' || value === null || value instanceof Date) return eachValue;
  const parts: readonly unknown[] = Array.isArray(value) ? value : Object.values(value);
  return parts.reduce<number>((sum, part) => sum + sizeOf(part), eachValue);
}

/** Adds up what goes into one answer. */
export class AnswerSize {
  private size = 0;
  private isEmpty = true;

  constructor(private readonly most: number) {}

  /** Whether so much fits as well; the first thing always does. What does not fit is not added. */
  takes(size: number): boolean {
    const fits = this.isEmpty || this.size + size <= this.most;
    if (fits) this.size += size;
    this.isEmpty = false;
    return fits;
  }
}
