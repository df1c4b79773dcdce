import { channel } from 'node:diagnostics_channel';
import type { LaneBatch } from '../../src/transactions/boundary/channels.ts';
import { startApp, type TestApp } from './app.ts';
import { findMistakes } from './books.ts';

/** The batches that the lanes did while the work was done, by their sizes. */
export async function batchesOf(work: () => Promise<unknown>): Promise<number[]> {
  const sizes: number[] = [];
  const listen = (message: unknown) => void sizes.push((message as LaneBatch).size);
  channel('holdfast:lane-batch').subscribe(listen);
  try {
    await work();
  } finally {
    channel('holdfast:lane-batch').unsubscribe(listen);
  }
  return sizes;
}

// What is blocked for a while is to wait for its end, however slow the machine is.
const patient = {
  DATABASE_LOCK_TIMEOUT_MS: '20000',
  DATABASE_STATEMENT_TIMEOUT_MS: '30000',
  DATABASE_TRANSACTION_TIMEOUT_MS: '30000',
};

/** The service with lanes, and without, each on a database of its own. */
export async function withAndWithoutLanes(
  settings: NodeJS.ProcessEnv = {},
): Promise<[service: TestApp, plain: TestApp]> {
  const both = { ...patient, ...settings };
  return [await startApp(both), await startApp({ ...both, DATABASE_LANES: 'off' })];
}

/** Ends both. Their books are right. */
export async function endBoth(services: readonly TestApp[]): Promise<void> {
  for (const one of services) {
    expect(await findMistakes(one.database)).toEqual([]);
    await one.close();
  }
}
