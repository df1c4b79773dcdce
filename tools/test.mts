// npm test [-- <file or option of Jest> …]: all tests, or the named ones. Silent about what passes; ends with one line of counts.
// `--server-dependent` leaves out the files that say `@servers any`.
import { spawn } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { build } from './run.mts';
import { serverDependent } from './server-dependent.mts';

interface Suite {
  readonly status: string;
  readonly assertionResults: readonly { readonly status: string }[];
}

interface Counts {
  passed: number;
  failed: number;
  skipped: number;
}

// What Jest says of suites that pass, and its own sum, which our last line replaces. A proof takes long: each file is named when it is done.
// That a worker was slow to exit says nothing: test/support/environment.cjs demands of each file that it leaves nothing open.
const ofSuites =
  /^(Test Suites: .*|Tests: .*|Snapshots: .*|Time: .*|Ran all test suites.*|Test results written to: .*|A worker process has failed to exit gracefully.*)$/;
const isNeedless = (line: string): boolean =>
  ofSuites.test(line) || (process.env.PROVE !== 'true' && line.startsWith('PASS '));

const asksForTests = !process.argv.some((arg) => /^--(listTests|showConfig|help)\b/.test(arg));

const built = await build();
if (built.code !== 0) {
  process.stderr.write(built.output);
  end({ passed: 0, failed: 1, skipped: 0 }, 'The service does not build, so no test ran.');
} else {
  const scratch = mkdtempSync(join(tmpdir(), 'holdfast-jest-'));
  try {
    const file = join(scratch, 'results.json');
    judge(await jest(file), file);
  } finally {
    rmSync(scratch, { recursive: true, force: true });
  }
}

function jest(outputFile: string): Promise<number> {
  const args = [
    '--experimental-vm-modules',
    '--disable-warning=ExperimentalWarning',
    join('node_modules', 'jest', 'bin', 'jest.js'),
    ...(asksForTests ? ['--json', `--outputFile=${outputFile}`] : []),
    ...(process.env.CI === 'true' ? ['--ci'] : []),
    ...process.argv.slice(2).flatMap((arg) => (arg === '--server-dependent' ? serverDependent() : arg)),
  ];
  const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'pipe'] });
  // There stand log lines, what a test prints, and the table of --coverage. Our own standard output is for the counts alone.
  if (wantsOutput()) child.stdout.pipe(process.stderr, { end: false });
  else child.stdout.resume();
  let isAfterGap = true;
  createInterface({ input: child.stderr }).on('line', (line) => {
    if (isNeedless(line) || (line === '' && isAfterGap)) return;
    isAfterGap = line === '';
    process.stderr.write(`${line}\n`);
  });
  // Ctrl-C reaches Jest too: we wait for it to stop its database.
  process.on('SIGINT', () => undefined);
  // This one does not. The next run stops the database that is left.
  process.on('SIGTERM', () => child.kill('SIGTERM'));
  return new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (code) => {
      resolve(code ?? 1);
    });
  });
}

function wantsOutput(): boolean {
  return !asksForTests || process.argv.some((arg) => /^--coverage\b/.test(arg)) || process.env.LOG_LEVEL !== undefined;
}

function judge(code: number, file: string): void {
  if (!asksForTests) return void (process.exitCode = code);
  if (!existsSync(file))
    return end({ passed: 0, failed: 1, skipped: 0 }, `Jest ended with code ${code} and left no result: it crashed.`);
  const { testResults } = JSON.parse(readFileSync(file, 'utf8')) as { testResults: Suite[] };
  const counts = count(testResults);
  if (counts.passed + counts.failed === 0)
    return end({ ...counts, failed: 1 }, 'No test ran: the name fits no file, or all are skipped.');
  if (code !== 0 && counts.failed === 0)
    return end({ ...counts, failed: 1 }, `Jest ended with code ${code} although no test failed: see above.`);
  end(counts);
}

function count(suites: readonly Suite[]): Counts {
  const statuses = suites.flatMap(({ assertionResults }) => assertionResults.map(({ status }) => status));
  const of = (...wanted: string[]): number => statuses.filter((status) => wanted.includes(status)).length;
  // One that does not start, or whose afterAll fails, has no failed test of its own.
  const broken = suites.filter(
    ({ status, assertionResults }) => status === 'failed' && assertionResults.every((test) => test.status !== 'failed'),
  );
  return { passed: of('passed'), failed: of('failed') + broken.length, skipped: of('pending', 'todo', 'disabled') };
}

function end({ passed, failed, skipped }: Counts, sentence?: string): void {
  if (sentence !== undefined) process.stderr.write(`${sentence}\n`);
  process.stdout.write(`${passed} passed, ${failed} failed${skipped > 0 ? `, ${skipped} skipped` : ''}\n`);
  process.exitCode = failed > 0 ? 1 : 0;
}
