import type { PlantedBug } from './bugs.ts';

/** Mistakes in what refuses mistakes and tells their cause. */
export const bugsOfDiagnostics: readonly PlantedBug[] = [
  {
    name: 'the log leaves out the messages of our own errors',
    harm: 'A 500 is a type and a stack: nobody finds out what was refused.',
    changes: [
      {
        file: 'src/operations/describe-error.ts',
        text: "messages === 'all' || isLoggable(error) ?",
        replacement: "messages === 'all' ?",
      },
    ],
    caughtBy: {
      file: 'test/error-log.test.ts',
      tests: ['%s is logged with its sentence in production, and with no value'],
    },
    saying: /-\s+"message": /,
  },
  {
    name: 'the log of production quotes the database',
    harm: "PostgreSQL's messages hold values of rows, and the log is read by more people than the rows.",
    changes: [
      {
        file: 'src/config/config.ts',
        text: "(mode === 'production' ? 'own' : 'all')",
        replacement: "(mode === 'production' ? 'all' : 'all')",
      },
    ],
    caughtBy: { file: 'test/configuration.test.ts', tests: ['lets the log quote the database, but not in production'] },
    saying: /Expected: "own"\s+Received: "all"/,
  },
];
