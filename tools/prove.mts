// npm run prove [-- <file> …]: the proofs that a test run repeats briefly, with their full counts; all of them, or the named files.
// One after the other, as they measure and load the machine. Takes more than an hour on two cores.
import { spawn } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

const counted = readdirSync('test', { recursive: true, encoding: 'utf8' })
  .map((file) => join('test', file))
  .filter((file) => file.endsWith('.test.ts') && readFileSync(file, 'utf8').includes('fullCount('));
const named = process.argv.slice(2);
const unknown = named.filter((file) => !counted.includes(file));
if (unknown.length > 0) {
  process.stderr.write(`${unknown.join(', ')} has no counts to prove. These have: ${counted.join(', ')}.\n`);
  process.exit(1);
}
const files = named.length > 0 ? named : counted;
process.stdout.write(`proving ${files.join(' ')}\n`);
const tests = spawn(
  process.execPath,
  ['--disable-warning=MODULE_TYPELESS_PACKAGE_JSON', join('tools', 'test.mts'), '--runInBand', ...files],
  { stdio: 'inherit', env: { ...process.env, PROVE: 'true' } },
);
process.on('SIGTERM', () => tests.kill('SIGTERM'));
tests.on('close', (code) => {
  process.exitCode = code ?? 1;
});
