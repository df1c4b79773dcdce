import { placesOf } from './crowding.ts';
import type { RunningBoundary } from './running-boundary.ts';

/** Runs the work of a boundary to its end. Throws what forbids to store it. */
export async function finishing<T>(boundary: RunningBoundary, work: () => Promise<T>): Promise<T> {
  try {
    const value = await work();
    const busy = busyOf(boundary);
    if (busy !== null) throw busy;
    boundary.finish();
    return value;
  } catch (error) {
    // What the work has made of a request that was stopped, or of a conflict, is not the reason.
    throw boundary.refusal ?? boundary.conflict ?? busyOf(boundary) ?? error;
  } finally {
    boundary.abandon();
  }
}

// That a row was busy, whatever the work has made of it.
const busyOf = ({ transaction }: RunningBoundary): Error | null => placesOf(transaction.beginning)?.busy ?? null;
