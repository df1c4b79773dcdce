import { spawn } from 'node:child_process';
import { chmodSync, cpSync, existsSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, relative, resolve, sep } from 'node:path';
import type { Change } from './bugs.ts';

/** What came of a test: how it ended, and what it said. */
export interface Ended {
  readonly title: string;
  readonly status: string;
  readonly said: string;
}

interface Tests {
  readonly files: readonly string[];
  /** By their titles in the source. */
  readonly tests: readonly string[];
}

// What is made anew, or is too large, and what belongs to this run.
const left = new Set(['.git', 'node_modules', 'dist', 'coverage', '.holdfast', '.env']);

/** How often a text occurs in a file. */
export const occurrences = ({ file, text }: Pick<Change, 'file' | 'text'>): number =>
  readFileSync(file, 'utf8').split(text).length - 1;

/** Runs the tests in a copy of the project in which these texts are replaced. Gives what came of those that were named. */
export async function runChanged(changes: readonly Change[], tests: Tests): Promise<Ended[]> {
  const copy = makeCopy();
  try {
    for (const change of changes) plant(copy, change);
    return await run(copy, tests);
  } finally {
    rmSync(copy, { recursive: true, force: true });
  }
}

/** A copy of the project without what is made, in a folder that its caller removes. */
export function makeCopy(name = 'planted'): string {
  const copy = mkdtempSync(join(tmpdir(), `holdfast-${name}-`));
  chmodSync(copy, 0o755); // PostgreSQL's own user may have to enter it
  const filter = (source: string): boolean => !left.has(relative('.', source).split(sep)[0] ?? '');
  cpSync('.', copy, { recursive: true, filter });
  symlinkSync(resolve('node_modules'), join(copy, 'node_modules'));
  return copy;
}

function plant(copy: string, { file, text, replacement }: Change): void {
  const path = join(copy, file);
  // A function, as a text may hold $&.
  writeFileSync(
    path,
    readFileSync(path, 'utf8').replace(text, () => replacement),
  );
}

async function run(copy: string, { files, tests }: Tests): Promise<Ended[]> {
  const results = join(copy, 'results.json');
  const said = await jest(copy, [
    ...['--json', `--outputFile=${results}`, `--testNamePattern=(${tests.map(patternOf).join('|')})$`],
    ...['--runInBand', '--ci', ...files],
  ]);
  if (!existsSync(results)) throw new Error(`Jest has crashed:\n${said}`);
  const { testResults } = JSON.parse(readFileSync(results, 'utf8')) as {
    testResults: {
      message: string;
      assertionResults: { title: string; status: string; failureMessages: string[] }[];
    }[];
  };
  const ran = testResults
    .flatMap(({ assertionResults }) => assertionResults)
    .filter(({ status }) => status === 'passed' || status === 'failed');
  if (ran.length === 0) throw new Error(`No test ran:\n${testResults.map(({ message }) => message).join('\n')}${said}`);
  return ran.map(({ title, status, failureMessages }) => ({ title, status, said: failureMessages.join('\n') }));
}

/** A title as the source has it, as a pattern of what it becomes. */
export const patternOf = (title: string): string =>
  title
    .split(/%[sjp]|\$\{.*?\}/)
    .map((part) => part.replaceAll(/[.*+?^${}()|[\]\\]/g, '\\$&'))
    .join('.*');

function jest(cwd: string, args: readonly string[]): Promise<string> {
  // Of this run: what it proves in full, and its own cluster.
  const mine = /^(PROVE|JEST_|HOLDFAST_TEST_)/;
  const env = Object.fromEntries(Object.entries(process.env).filter(([name]) => !mine.test(name)));
  const child = spawn(
    process.execPath,
    [
      ...['--experimental-vm-modules', '--disable-warning=ExperimentalWarning'],
      ...[join('node_modules', 'jest', 'bin', 'jest.js'), ...args],
    ],
    { cwd, env: { ...env, NO_COLOR: '1' }, stdio: ['ignore', 'ignore', 'pipe'] },
  );
  let said = '';
  child.stderr.on('data', (chunk: Buffer) => (said += chunk.toString()));
  return new Promise((done, reject) => {
    child.once('error', reject);
    child.once('close', () => {
      done(said);
    });
  });
}
