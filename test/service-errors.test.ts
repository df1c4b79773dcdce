import { spawnSync } from 'node:child_process';
import { join } from 'node:path';

const { transform } = jest.requireActual<{ transform: object }>('../jest.config.js');
const jestFile = join('node_modules', 'jest', 'bin', 'jest.js');
const run = (...args: string[]) =>
  spawnSync(process.execPath, args, { encoding: 'utf8', env: { ...process.env, NODE_OPTIONS: '', LOG_LEVEL: '' } });

describe('a failed test', () => {
  const config = {
    rootDir: process.cwd(),
    testEnvironment: '<rootDir>/test/support/environment.cjs',
    testMatch: ['<rootDir>/test/support/failing/*.fixture.ts'],
    transform,
  };

  it('shows what the service told while it ran: type, message, SQLSTATE, the words of PostgreSQL and the place', () => {
    const { stderr } = run('--experimental-vm-modules', jestFile, '--config', JSON.stringify(config));
    const told = stderr.split('What the service told while this test ran:').slice(1);
    // Neither that of the test that passed before, nor anything where the service had told nothing.
    expect(told).toHaveLength(1);
    expect(told[0]).toContain('request failed\n');
    expect(told[0]).toContain('OutOfStockError: Nothing is left of it.');
    expect(told[0]).toContain('PostgreSQL: stock is negative · Look in the cellar');
    expect(told[0]).toContain('SQLSTATE HF002');
    expect(told[0]).toMatch(/at .*told\.fixture\.ts:\d+/);
    expect(stderr).toContain('● fails by itself');
  }, 60_000);
});

it('jest by itself says what to run instead', () => {
  const { status, stderr } = run(jestFile, '--listTests');
  expect(status).toBe(1);
  expect(stderr).toContain('Run the tests with "npm test"');
});
