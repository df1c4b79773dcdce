/** The value below which so many quarters of all lie; NaN of none. */
export function quartile(values: readonly number[], which: 1 | 2 | 3): number {
  return values.toSorted((a, b) => a - b)[Math.floor((values.length * which) / 4)] ?? NaN;
}

export const median = (values: readonly number[]): number => quartile(values, 2);
