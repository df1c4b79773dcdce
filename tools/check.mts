// npm run check: everything a machine can say about the code without running its tests. Stops at the first failure and shows it.
// Lint takes as long as all the others together, which run beside it.
import { chmodSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { startCluster } from '../src/database/embedded/cluster.ts';
import { runPrisma } from '../src/database/embedded/prisma-cli.ts';
import { build, type Outcome, ownTool, runNode } from './run.mts';

const packaged = (...path: string[]): string => join('node_modules', ...path);

type Steps = Record<string, () => Promise<Outcome>>;
const failed = new AbortController();
// Also when a step throws.
process.once('exit', () => {
  failed.abort();
});

const lint: Steps = {
  lint: () => runNode([packaged('eslint', 'bin', 'eslint.js'), '.', '--max-warnings', '0'], failed.signal),
};
const others: Steps = {
  types: () => runNode([packaged('typescript', 'bin', 'tsc'), '--noEmit', '-p', 'tsconfig.json']),
  boundaries: () =>
    runNode([
      packaged('dependency-cruiser', 'bin', 'dependency-cruiser.mjs'),
      ...['--config', '.dependency-cruiser.cjs', 'src', 'prisma', 'tools', 'prisma.config.ts'],
    ]),
  format: () => runNode([packaged('prettier', 'bin', 'prettier.cjs'), '--check', '--log-level', 'warn', '.']),
  schema: schemaDrift,
  openapi: () => ownTool('openapi.mts', '--check'),
  problems: () => ownTool('problems.mts', '--check'),
  failures: () => ownTool('failures.mts', '--check'),
  config: () => ownTool('config.mts', '--check'),
};

await inTurn({ build });
await Promise.all([inTurn(lint), inTurn(others)]);

/** Ends at the first failure, of whichever step: the one that is under way beside it is ended or waited for, and no more is said. */
async function inTurn(steps: Steps): Promise<void> {
  for (const [name, step] of Object.entries(steps)) {
    if (failed.signal.aborted) return;
    const begun = performance.now();
    const { code, output } = await step();
    if (failed.signal.aborted) return;
    const seconds = ((performance.now() - begun) / 1000).toFixed(1);
    process.stdout.write(`${name.padEnd(10)} ${seconds.padStart(5)} s${code === 0 ? '' : '  failed'}\n`);
    if (code === 0) continue;
    process.stdout.write(`\n${output.trim()}\n`);
    process.exitCode = 1;
    failed.abort();
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
