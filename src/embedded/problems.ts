import { LoggableError } from '../kernel/loggable-error.ts';
import { readOrNull } from './processes.ts';

/** Its message is one sentence for the person at the terminal: what is wrong and what to do. */
export class ClusterError extends LoggableError {
  override name = 'ClusterError';
}

/** The port was free when we looked and taken when the server came to listen: the caller tries another. */
export class PortTaken extends ClusterError {}

export interface Circumstances {
  /** What did not work, to continue "PostgreSQL could not …". */
  attempt: string;
  folder: string;
  logFile: string;
}

const FULL = /No space left on device|ENOSPC|Disk quota exceeded|EDQUOT/;
// Its shared memory is on a disk of its own, which a container makes small.
const SHARED_MEMORY = /could not (?:resize|open|map|create) shared memory segment|\/dev\/shm\b/;
const TAKEN = /could not bind IPv4 address|could not create any TCP\/IP sockets/;

/** What PostgreSQL printed, as an error of ours. */
export function explain(output: string, { attempt, folder, logFile }: Circumstances): ClusterError {
  if (FULL.test(output)) return SHARED_MEMORY.test(output) ? sharedMemoryFull() : diskFull(folder);
  if (TAKEN.test(output)) return new PortTaken(`PostgreSQL could not ${attempt}: another program took its port.`);
  const reason = meaningfulLine(output);
  return new ClusterError(`PostgreSQL could not ${attempt}: ${reason}. The whole log: ${logFile}`);
}

/**
 * An error of the file system or of a connection on our own side, as one of ours; a ClusterError stays what it is.
 * `log`: what the server wrote meanwhile, for a broken connection does not say why it broke.
 */
export function asClusterError(error: unknown, folder: string, log = ''): ClusterError {
  if (error instanceof ClusterError) return error;
  const message = error instanceof Error ? error.message : String(error);
  if (FULL.test(message) || FULL.test(log))
    return SHARED_MEMORY.test(`${message}\n${log}`) ? sharedMemoryFull() : diskFull(folder);
  const denied = /^(EACCES|EPERM|EROFS)\b/.test(message);
  const way = denied ? ' Give this user write access to it, or set HOLDFAST_HOME to another folder.' : '';
  return new ClusterError(`The embedded database in ${folder} failed: ${message}.${way}`, { cause: error });
}

/** The end of the log, from byte `from`. */
export function logSince(logFile: string, from: number): string {
  return Buffer.from(readOrNull(logFile) ?? '')
    .subarray(from)
    .toString();
}

const sharedMemoryFull = (): ClusterError =>
  new ClusterError(
    'Shared memory (/dev/shm) is full: give it more room, in a container for example with --shm-size=256m, or set DATABASE_WRITE_URL to a database of your own.',
  );

function diskFull(folder: string): ClusterError {
  return new ClusterError(
    `The disk that holds ${folder} is full: free some space, or set HOLDFAST_HOME to a folder on another disk.`,
  );
}

/** The last complaint; without one, the last line that is not empty. */
function meaningfulLine(output: string): string {
  const lines = output.split('\n').filter((line) => line.trim() !== '');
  const complaint = lines.findLast((line) => /\b(FATAL|PANIC|ERROR|error):\s/.test(line));
  const line = complaint ?? lines.at(-1) ?? 'it said nothing';
  return line.replace(/^.*?\b(FATAL|PANIC|ERROR|error):\s+/, '').replace(/\.$/, '');
}
