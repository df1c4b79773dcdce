// npm run backup -- <new folder>: copies the embedded database, while it runs or not, into a folder that `npm run restore` reads.
// --check <backup>: reads every file of a backup and compares it with its checksum.
// --prune-archive <backup>: removes from the archive the write-ahead log that neither this backup nor a later one needs.
import { existsSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { pruneLog } from '../src/embedded/backup/archive.ts';
import { checkBackup, findArchiveTrouble, makeBackup } from '../src/embedded/backup/backup.ts';
import type { Manifest } from '../src/embedded/backup/manifest.ts';
import { ClusterError, lastingCluster, type RunningCluster, startCluster } from '../src/embedded/cluster.ts';
import { embeddedHome, runCommand, say, UsageError } from './embedded-home.mts';

const usage = 'Usage: npm run backup -- <new folder> | --check <backup> | --prune-archive <backup>';

await runCommand(usage, async () => {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: { check: { type: 'string' }, 'prune-archive': { type: 'string' } },
  });
  const [target] = positionals;
  const asked = [target, values.check, values['prune-archive']].filter((one) => one !== undefined);
  if (asked.length !== 1 || positionals.length > 1) throw new UsageError(usage);
  if (values.check !== undefined) return check(resolve(values.check));
  if (values['prune-archive'] !== undefined) return prune(resolve(values['prune-archive']));
  return back(resolve(target ?? ''));
});

async function back(target: string): Promise<void> {
  const { home } = embeddedHome('npm run backup');
  const version = (JSON.parse(readFileSync('package.json', 'utf8')) as { version: string }).version;
  const { manifest, trouble } = await onCluster(home, async (cluster) => ({
    manifest: await makeBackup({ home, cluster, target, version }),
    trouble: await findArchiveTrouble(cluster),
  }));
  say(`${target} holds all that was stored before ${manifest.begunAt} (${sizeOf(manifest)}).`);
  say('It holds passwords, secrets and all data: keep it as closely as the database itself.');
  if (trouble !== null) say(trouble);
}

async function check(folder: string): Promise<void> {
  const manifest = await checkBackup(folder);
  say(`${folder} is whole: all that was stored before ${manifest.begunAt} (${sizeOf(manifest)}).`);
}

async function prune(folder: string): Promise<void> {
  const { archive } = embeddedHome('npm run backup');
  if (archive === null) throw new ClusterError('EMBEDDED_WAL_ARCHIVE names no archive.');
  // A backup that cannot be restored is no reason to remove anything.
  const manifest = await checkBackup(folder);
  say(`Removed ${pruneLog(archive, manifest)} files of the log before ${folder}.`);
}

/** On the one that runs, or started for this command. */
async function onCluster<T>(home: string, work: (cluster: RunningCluster) => Promise<T>): Promise<T> {
  const running = lastingCluster(home);
  if (running !== null) return work(running);
  if (!existsSync(join(home, 'cluster.json')))
    throw new ClusterError(`There is no database in ${home}: set HOLDFAST_HOME to the folder of the service.`);
  const cluster = await startCluster({
    home,
    durable: true,
    use: { isPassing: true },
    onProgress: (line) => say(`  ${line}`),
  });
  try {
    return await work(cluster);
  } finally {
    await cluster.stop();
  }
}

function sizeOf({ files }: Manifest): string {
  const bytes = Object.values(files).reduce((sum, file) => sum + file.bytes, 0);
  return `${Object.keys(files).length} files, ${Math.ceil(bytes / 2 ** 20)} MB`;
}
