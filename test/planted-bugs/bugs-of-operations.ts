import type { PlantedBug } from './bugs.ts';

/** Of the start, the probes and the embedded database. */
export const bugsOfOperations: readonly PlantedBug[] = [
  {
    name: 'an address that others reach counts as this machine alone',
    harm: 'A container serves the demo people, whose passwords are published.',
    changes: [
      {
        file: 'src/config/address.ts',
        text: "loopback.addSubnet('127.0.0.0', 8, 'ipv4');",
        replacement: "loopback.addSubnet('0.0.0.0', 1, 'ipv4');",
      },
    ],
    caughtBy: { file: 'test/published-credentials.test.ts', tests: ['%s is not'] },
    saying: /Expected: false\s+Received: true/,
  },
  {
    name: 'a probe waits for the database',
    harm: 'A slow database takes every instance out of the balancer at once.',
    changes: [
      {
        file: 'src/operations/database-probe.ts',
        text: 'await Promise.race([this.underWay, sleep(answerWithin)]);',
        replacement: 'await this.underWay;',
      },
    ],
    caughtBy: {
      file: 'test/health.test.ts',
      tests: [
        'that falls silent is told of by its last state at first, and then by its silence; and again when it answers',
      ],
    },
    saying: /waited \d+ ms in vain; the last answer: "silent"/,
  },
  {
    name: 'an embedded server that ended is left alone',
    harm: 'The service runs on without its database until somebody looks.',
    changes: [
      {
        file: 'src/database/embedded/supervisor.ts',
        text: 'server.onUnexpectedEnd = () => void this.startAgain();',
        replacement: '',
      },
    ],
    caughtBy: { file: 'test/embedded-cluster.test.ts', tests: ['is started again: the %s'] },
    saying: /Expected: true\s+Received: false/,
  },
  {
    name: 'nobody watches whether the service was killed',
    harm: 'PostgreSQL runs on for ever behind a service that is gone.',
    changes: [
      {
        file: 'src/database/embedded/watcher.ts',
        text: 'kill -INT "$pid"\n',
        replacement: 'exit 0\n',
      },
    ],
    caughtBy: {
      file: 'test/embedded-cluster.test.ts',
      tests: ['its servers end by themselves, and none of its data is lost'],
    },
    saying: /Expected: true\s+Received: false/,
  },
  {
    name: 'a migration that breaks the version before is accepted by it',
    harm: 'An old instance starts on tables that it cannot work with.',
    changes: [
      {
        file: 'src/database/schema-version.ts',
        text: 'return name.endsWith(breaking)',
        replacement: 'return name === breaking',
      },
    ],
    caughtBy: { file: 'test/schema-version.test.ts', tests: ['refuses a database that %s, and says what to do'] },
    saying: /Received: "started"/,
  },
];
