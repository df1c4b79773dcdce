import { placesOf } from './crowding.ts';
import type { RunningBoundary } from './running-boundary.ts';

/** Runs the work of a boundary to its end. Throws the error that forbids the commit. */
export async function runToEnd<T>(boundary: RunningBoundary, work: () => Promise<T>): Promise<T> {
  try {
    const value = await work();
    const busy = busyOf(boundary);
    if (busy !== null) throw busy;
    boundary.finish();
    return value;
  } catch (error) {
    // An error that the work threw because its request was stopped, or because of a conflict, is not the cause.
    throw boundary.refusal ?? boundary.conflict ?? busyOf(boundary) ?? boundary.reasonIn(error);
  } finally {
    boundary.abandon();
  }
}

// The RowBusyError of the attempt, even if the work threw another error because of it.
const busyOf = ({ transaction }: RunningBoundary): Error | null => placesOf(transaction.beginning)?.busy ?? null;
