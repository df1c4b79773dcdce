/**
 * Waits for the end of all, and gives what they come to. Throws what the first of them has failed with, in their order: unlike Promise.all, when
 * none of them is under way any more.
 */
export async function allOf<T extends readonly unknown[]>(
  work: readonly [...T],
): Promise<{ [K in keyof T]: Awaited<T[K]> }> {
  const ends: readonly PromiseSettledResult<unknown>[] = await Promise.allSettled(work);
  const failed = ends.find((end) => end.status === 'rejected');
  if (failed !== undefined) throw failed.reason;
  return ends.map((end) => (end as PromiseFulfilledResult<unknown>).value) as { [K in keyof T]: Awaited<T[K]> };
}
