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
  // A full count takes what it takes; a test that hangs is seen in the brief run.
  testTimeout: process.env.PROVE === 'true' ? 3_600_000 : 30_000,
  maxWorkers: 2,
  // What a file has loaded is not all given back when it ends: a worker grows to 2 GB in a run of all files, and takes long to exit then.
  workerIdleMemoryLimit: '1GB',
};
