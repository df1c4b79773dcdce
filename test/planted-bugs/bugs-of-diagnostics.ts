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
  {
    name: 'a second write outside any boundary is let pass',
    harm: 'A method that forgot its boundary leaves half of its work, and no test says so.',
    changes: [
      {
        file: 'src/transactions/transactions.ts',
        text: 'separate?.begin(`${call.name}, outside any boundary,`, call.site);',
        replacement: '',
      },
    ],
    caughtBy: {
      file: 'test/separate-writes.test.ts',
      tests: ['is refused by name, with both places, and not stored: %s'],
    },
    saying: /expected an error, was given/,
  },
  {
    name: 'two boundaries in turn are let pass',
    harm: 'Two services that belong together are two commits, and the first stays when the second fails.',
    changes: [
      {
        file: 'src/transactions/client/routing-client.ts',
        text: 'if (changesRows(call)) running.transaction.separate?.begin(',
        replacement: 'if (changesRows(call)) void (',
      },
    ],
    caughtBy: {
      file: 'test/separate-writes.test.ts',
      tests: ['is refused by name, with both places, and not stored: %s'],
    },
    saying: /expected an error, was given/,
  },
  {
    name: 'a write is no second one where the first is in doubt',
    harm: 'Work whose COMMIT was cut off is done again beside what it has stored.',
    changes: [
      {
        file: 'src/transactions/unit-of-work.ts',
        text: 'if (!(error instanceof CommitOutcomeUnknownError)) separate?.undone();',
        replacement: 'separate?.undone();',
      },
    ],
    caughtBy: {
      file: 'test/separate-writes.test.ts',
      tests: ['is refused when nobody knows whether the first one is stored'],
    },
    saying: /promise resolved instead of rejected/,
  },
  {
    name: 'a security event is told before its COMMIT',
    harm: 'Who looks into an incident reads of a closing that never was.',
    changes: [
      {
        file: 'src/modules/accounts/accounts.service.ts',
        text: "afterCommit(() => noteSecurityEvent('account-closed', { accountId: id }));",
        replacement: "noteSecurityEvent('account-closed', { accountId: id });",
      },
    ],
    caughtBy: { file: 'test/security-events.test.ts', tests: ['but not of %s when its COMMIT fails'] },
    saying: /\+\s+"event": "account-closed"/,
  },
];
