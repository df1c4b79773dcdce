// NestJS is made of modules that Jest can only load with this, and the tests need the service built.
if (!/--experimental-vm-modules/.test(`${process.execArgv.join(' ')} ${process.env.NODE_OPTIONS ?? ''}`)) {
  process.stderr.write(
    'Run the tests with "npm test", or some of them with "npm test -- test/orders.test.ts -t \'a name\'".\n',
  );
  process.exit(1);
}

/** @type {import('jest').Config} */
module.exports = {
  testEnvironment: '<rootDir>/test/support/environment.cjs',
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
  moduleNameMapper: { '^@node-rs/argon2$': '<rootDir>/test/support/argon2.cjs' },
  moduleFileExtensions: ['ts', 'mts', 'js', 'mjs', 'json', 'node'],
  globalSetup: '<rootDir>/test/support/global-setup.ts',
  testSequencer: '<rootDir>/test/support/sequencer.cjs',
  setupFilesAfterEnv: ['<rootDir>/test/support/lock-order-recording.ts'],
  globalTeardown: '<rootDir>/test/support/global-teardown.ts',
  // A full count takes what it takes; a test that hangs is seen in the brief run. What takes a second takes twenty on a busy machine.
  testTimeout: process.env.PROVE === 'true' ? 3_600_000 : 180_000,
  maxWorkers: 2,
  // What a file has loaded is not all given back when it ends: a worker grows to 2 GB in a run of all files, and takes long to exit then.
  workerIdleMemoryLimit: '1GB',
};
