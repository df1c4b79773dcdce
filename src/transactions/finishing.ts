import type { RunningBoundary } from './running-boundary.ts';

/** Runs the work of a boundary to its end. Throws what forbids to store it. */
export async function finishing<T>(boundary: RunningBoundary, work: () => Promise<T>): Promise<T> {
  try {
    const value = await work();
    boundary.finish();
    return value;
  } catch (error) {
    // What the work has made of a request that was stopped, or of a conflict, is not the reason.
    throw boundary.refusal ?? boundary.conflict ?? error;
  } finally {
    boundary.abandon();
  }
}
