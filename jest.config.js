/** @type {import('jest').Config} */
module.exports = {
  testEnvironment: 'node',
  testMatch: ['<rootDir>/src/**/*.test.ts', '<rootDir>/test/**/*.test.ts'],
  transform: {
    '^.+\\.(m?ts)$': [
      '@swc/jest',
      {
        jsc: {
          parser: { syntax: 'typescript', decorators: true },
          transform: { legacyDecorator: true, decoratorMetadata: true },
          target: 'es2024',
        },
        module: { type: 'commonjs' },
      },
    ],
  },
  moduleFileExtensions: ['ts', 'mts', 'js', 'mjs', 'json', 'node'],
  globalSetup: '<rootDir>/test/support/global-setup.ts',
  testSequencer: '<rootDir>/test/support/sequencer.cjs',
  setupFilesAfterEnv: ['<rootDir>/test/support/lock-order-recording.ts'],
  globalTeardown: '<rootDir>/test/support/global-teardown.ts',
  testTimeout: 30_000,
  // One more than CI has cores: many files wait, for a server to start, a time limit to pass or a replica to catch up.
  maxWorkers: 3,
  // What a file has loaded is not all given back when it ends: a worker grows to 2 GB in a run of all files, and takes long to exit then.
  workerIdleMemoryLimit: '1GB',
};
