import { chownSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { makeFolder } from '../files.ts';
import { archiveOf, foldersOf, type Plan } from '../launch.ts';
import { freePorts } from '../ports.ts';
import { ClusterError, PortTaken } from '../problems.ts';
import { PostgresServer } from '../server.ts';
import { writeSettings } from '../settings.ts';
import { type ArchivedLog, numberAt } from './archive.ts';

const LONGEST_MS = 24 * 3_600_000;
const PORT_ATTEMPTS = 5;

/** To which point. */
export interface RecoveryTarget {
  /** Of the archive, whose files lie with those of the backup; null: to the end of the backup. */
  readonly log: ArchivedLog | null;
  readonly segmentBytes: number;
  readonly toTime?: Date;
}

export interface Recovered {
  /** The last write that was replayed, by the clock of the database; null when nothing was written since the backup began. */
  readonly lastWriteAt: string | null;
}

/** Runs the server once, until it has replayed the log, and stops it. It goes on as a timeline of its own. Throws ClusterError. */
export async function recover(
  data: string,
  plan: Pick<Plan, 'ground' | 'binaries' | 'state'>,
  target: RecoveryTarget,
): Promise<Recovered> {
  const { account } = plan.ground;
  const archive = archiveOf(plan, data);
  writeSettings(data, { durable: true, maxConnections: 100, archive }, account);
  const signal = join(data, 'recovery.signal');
  writeFileSync(signal, '', { mode: 0o600 });
  if (account !== null) chownSync(signal, account.uid, account.gid);
  const output = await runOnce(data, plan, settingsFor(target));
  const lastWriteAt = lastWriteIn(output);
  refuseShortLog(output, target, lastWriteAt);
  return { lastWriteAt };
}

function settingsFor({ log, toTime }: RecoveryTarget): Record<string, string> {
  const common = {
    hot_standby: 'off',
    // All there is of the log lies with the data.
    restore_command: 'exit 1',
    recovery_target_action: 'promote',
    recovery_target_timeline: log === null ? 'current' : String(log.timeline),
  };
  // The names of zones are not known yet when the server reads this.
  if (toTime !== undefined) return { ...common, recovery_target_time: toTime.toISOString().replace('Z', '+00') };
  return log === null ? { ...common, recovery_target: 'immediate' } : common;
}

/** Gives what it wrote into its log. Another program may take the port between the look and the start. */
async function runOnce(
  data: string,
  plan: Pick<Plan, 'ground' | 'binaries'>,
  settings: Record<string, string>,
): Promise<string> {
  for (let attempt = 1; ; attempt++) {
    const output = await attemptRun(data, plan, settings, attempt === PORT_ATTEMPTS);
    if (output !== null) return output;
  }
}

/** Null when its port was taken meanwhile and this was not the last attempt. */
async function attemptRun(
  data: string,
  { ground, binaries }: Pick<Plan, 'ground' | 'binaries'>,
  settings: Record<string, string>,
  isLast: boolean,
): Promise<string | null> {
  const { logs } = foldersOf(ground.place);
  makeFolder(logs, 0o700, ground.account);
  const { primary: port } = await freePorts(null);
  const common = { name: 'restored database', folder: data, logFile: join(logs, 'restore.log'), port, settings };
  const { account } = ground;
  const server = new PostgresServer({ ...common, program: binaries.postgres, account, startWithinMs: LONGEST_MS });
  try {
    await server.start();
    await server.stop('fast');
    return server.logSinceStart();
  } catch (error) {
    await server.stop('immediate');
    if (error instanceof PortTaken && !isLast) return null;
    throw explained(error as Error, server.logSinceStart());
  }
}

function explained(error: Error, output: string): Error {
  if (!output.includes('recovery ended before configured recovery target was reached')) return error;
  const last = lastWriteIn(output);
  return new ClusterError(
    `The archive does not reach the time of --to-time: ${last === null ? 'it holds no write since the backup' : `its last write is of ${last}`}. Name an earlier time, or leave --to-time out to restore all there is.`,
    { cause: error },
  );
}

/** A record that cannot be read ends a recovery without a word, as the end of the log does. */
function refuseShortLog(
  output: string,
  { log, toTime, segmentBytes }: RecoveryTarget,
  lastWriteAt: string | null,
): void {
  const reached = /redo done at ([0-9A-F]+\/[0-9A-F]+)/.exec(output)?.[1];
  if (log === null || toTime !== undefined || log.last < 0) return;
  if (reached !== undefined && numberAt(reached, segmentBytes) >= log.last) return;
  throw new ClusterError(
    `The archive ${log.folder} is damaged: its log can be read up to ${reached ?? 'the end of the backup'} only. To restore what comes before, add --to-time ${lastWriteAt ?? '<time>'}.`,
  );
}

function lastWriteIn(output: string): string | null {
  const time = /last completed transaction was at log time (\S+ \S+)/.exec(output)?.[1];
  return time === undefined ? null : time.replace(' ', 'T').replace(/\+00$/, 'Z');
}
