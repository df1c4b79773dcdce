// npm run restore -- <backup> [--archive <folder>] [--to-time <ISO 8601 with a zone>] [--timeline <number>] [--force] [--noted <length>:<head>]: puts the data of a
// backup into HOLDFAST_HOME, and then checks the books and the hash chain as `npm run restore:check` does.
// Exit code 0: restored and right; 1: not restored, or restored and not right; 2: restored, and it could not be found out, or a wrong call.
import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { ownMigrations } from '../src/database/schema-version.ts';
import { restoreBackup, type RestoreRequest } from '../src/embedded/backup/restore.ts';
import { embeddedHome, runCommand, say, UsageError } from './embedded-home.mts';

const usage =
  'Usage: npm run restore -- <backup> [--archive <folder>] [--to-time 2026-11-30T12:00:00Z] [--timeline <number>] [--force] [--noted <length>:<head>]';

await runCommand(usage, async () => {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      archive: { type: 'string' },
      'to-time': { type: 'string' },
      timeline: { type: 'string' },
      force: { type: 'boolean' },
      noted: { type: 'string' },
    },
  });
  const [backup] = positionals;
  if (backup === undefined || positionals.length > 1 || !/^\d*$/.test(values.timeline ?? ''))
    throw new UsageError(usage);
  const { home, archive: ownArchive } = embeddedHome('npm run restore');
  const toTime = timeIn(values['to-time']);
  // A time can be reached by the archive alone.
  const archive = values.archive ?? (toTime === undefined ? null : ownArchive);
  const request: RestoreRequest = {
    backup,
    home,
    migrations: await ownMigrations(),
    force: values.force === true,
    ownArchive,
    ...(archive !== null && { archive }),
    ...(toTime !== undefined && { toTime }),
    ...(values.timeline !== undefined && { timeline: Number(values.timeline) }),
    onProgress: (line) => say(`  ${line}`),
  };
  const { manifest, lastWriteAt, movedTo } = await restoreBackup(request);
  const last =
    lastWriteAt === null ? `all that was stored before ${manifest.begunAt}` : `its last write is of ${lastWriteAt}`;
  say(`Restored into ${home}: ${last}.`);
  if (movedTo !== null)
    say(`What was there before lies in ${movedTo}: remove it once the restored data are known to be right.`);
  process.exitCode = await check(values.noted);
});

/** The same that an operator can repeat. */
function check(noted: string | undefined): Promise<number> {
  const args = [join('tools', 'restore-check.mjs'), ...(noted === undefined ? [] : [noted])];
  const child = spawn(process.execPath, args, { stdio: 'inherit' });
  return new Promise((resolve) => child.once('close', (code) => resolve(code ?? 2)));
}

/** Without a zone it would be another moment on another machine. */
function timeIn(text: string | undefined): Date | undefined {
  if (text === undefined) return undefined;
  const time = new Date(text);
  if (!/T.*(Z|[+-]\d\d:?\d\d)$/.test(text) || Number.isNaN(time.getTime())) throw new UsageError(usage);
  return time;
}
