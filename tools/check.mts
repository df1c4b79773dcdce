// npm run check: everything a machine can say about the code without running its tests. Shows all that fails.
// Two steps at a time, as many as CI has processors; the longest first, so that neither waits long for the other at the end.
import { chmodSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { inspect } from 'node:util';
import { startCluster } from '../src/embedded/cluster.ts';
import { runPrisma } from '../src/embedded/prisma-cli.ts';
import { build, type Outcome, ownTool, packaged, runNode } from './run.mts';

type Steps = Record<string, () => Promise<Outcome>>;
const width = 2;

const steps: Steps = {
  lint: () => runNode([packaged('eslint', 'bin', 'eslint.js'), '.', '--max-warnings', '0']),
  types: () => runNode([packaged('typescript', 'bin', 'tsc'), '--noEmit', '-p', 'tsconfig.json']),
  boundaries: () =>
    runNode([
      packaged('dependency-cruiser', 'bin', 'dependency-cruiser.mjs'),
      ...['--config', '.dependency-cruiser.cjs', 'src', 'tools', 'prisma.config.ts'],
    ]),
  unused: () => runNode([packaged('knip', 'bin', 'knip.js'), '--no-progress', '--no-config-hints']),
  format: () => runNode([packaged('prettier', 'bin', 'prettier.cjs'), '--check', '--log-level', 'warn', '.']),
  schema: schemaDrift,
  openapi: () => ownTool('openapi.mts', '--check'),
  problems: () => ownTool('problems.mts', '--check'),
  failures: () => ownTool('failures.mts', '--check'),
  config: () => ownTool('config.mts', '--check'),
};

const failures: string[] = [];
await take([['build', build]]);
// What is not built cannot be asked for its documents.
if (failures.length === 0) {
  const waiting = Object.entries(steps);
  await Promise.all(Array.from({ length: width }, () => take(waiting)));
}
for (const failure of failures) process.stdout.write(failure);
process.exitCode = failures.length === 0 ? 0 : 1;

/** Takes one step after the other for as long as there is one. */
async function take(waiting: [string, () => Promise<Outcome>][]): Promise<void> {
  for (let next = waiting.shift(); next !== undefined; next = waiting.shift()) {
    const [name, step] = next;
    const begun = performance.now();
    const { code, output } = await step().catch((error: unknown) => ({ code: 1, output: inspect(error) }));
    const seconds = ((performance.now() - begun) / 1000).toFixed(1);
    process.stdout.write(`${name.padEnd(10)} ${seconds.padStart(5)} s${code === 0 ? '' : '  failed'}\n`);
    if (code !== 0) failures.push(`\n${name} failed:\n${output.trim()}\n`);
  }
}

/** Whether the migrations make what the schema describes. On a cluster of its own: the one in .holdfast may be in use. */
async function schemaDrift(): Promise<Outcome> {
  // The name is one of those that a test run clears away, should this one be killed.
  const home = mkdtempSync(join(tmpdir(), `holdfast-test-${process.pid}-`));
  chmodSync(home, 0o755); // as root, PostgreSQL's own user must be able to enter it
  const cluster = await startCluster({ home, durable: false });
  try {
    const diff = ['migrate', 'diff', '--from-migrations', 'prisma/migrations', '--to-schema', 'prisma', '--exit-code'];
    const { code, output } = await runPrisma(diff, { databaseUrl: cluster.url('owner'), quiet: true });
    const advice = 'The migrations do not make what prisma/*.prisma describes. Run: npm run prisma -- migrate dev';
    return { code, output: code === 2 ? `${output}\n${advice}` : output };
  } finally {
    await cluster.stop();
    for (const folder of [cluster.home, home]) rmSync(folder, { recursive: true, force: true });
  }
}
