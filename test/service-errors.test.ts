/** @servers any */
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';

const { transform } = jest.requireActual<{ transform: object }>('../jest.config.js');
const jestFile = join('node_modules', 'jest', 'bin', 'jest.js');
const run = (...args: string[]) =>
  spawnSync(process.execPath, args, { encoding: 'utf8', env: { ...process.env, NODE_OPTIONS: '', LOG_LEVEL: '' } });

const filesOf = (folder: string): string =>
  JSON.stringify({
    rootDir: process.cwd(),
    testEnvironment: '<rootDir>/test/support/environment.cjs',
    testMatch: [`<rootDir>/test/support/${folder}/*.fixture.ts`],
    transform,
    // Otherwise Jest runs so few files in its own process.
    workerIdleMemoryLimit: '1GB',
    maxWorkers: 2,
  });

describe('a failed test', () => {
  it('shows what the service told while it ran: type, message, SQLSTATE, the words of PostgreSQL and the place', () => {
    const { stderr } = run('--experimental-vm-modules', jestFile, '--config', filesOf('failing'));
    const told = stderr.split('What the service told while this test ran:').slice(1);
    // Neither that of the test that passed before, nor anything where the service had told nothing.
    expect(told).toHaveLength(1);
    expect(told[0]).toContain('request failed\n');
    expect(told[0]).toContain('OutOfStockError: Nothing is left of it.');
    expect(told[0]).toContain('PostgreSQL: stock is negative · Look in the cellar');
    expect(told[0]).toContain('SQLSTATE HF002');
    expect(told[0]).toMatch(/at .*told\.fixture\.ts:\d+/);
    expect(stderr).toContain('● fails by itself');
  });
});

it('a file that leaves something open fails by name, and one whose things end soon does not', () => {
  const { status, stderr } = run('--experimental-vm-modules', jestFile, '--config', filesOf('open'));
  expect(stderr).toMatch(/FAIL test\/support\/open\/timer\.fixture\.ts/);
  expect(stderr).toContain('This file leaves something open: 1 Timeout. Close it in afterAll.');
  // Beside what its tests have to say.
  expect(stderr).toContain('● fails as well');
  expect(stderr).toMatch(/PASS test\/support\/open\/nothing\.fixture\.ts/);
  // And one in which Node warns of a timer.
  expect(stderr).toMatch(/FAIL test\/support\/open\/warning\.fixture\.ts/);
  expect(stderr).toContain('TimeoutNegativeWarning');
  expect(status).toBe(1);
});

it('jest by itself says what to run instead', () => {
  const { status, stderr } = run(jestFile, '--listTests');
  expect(status).toBe(1);
  expect(stderr).toContain('Run the tests with "npm test"');
});
