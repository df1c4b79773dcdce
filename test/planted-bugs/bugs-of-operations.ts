import type { PlantedBug } from './bugs.ts';

/** Of the start, the probes and the embedded database. */
export const bugsOfOperations: readonly PlantedBug[] = [
  {
    name: 'two modules give their ids the same prefix',
    harm: 'The id of one thing is taken for that of another.',
    changes: [{ file: 'src/kernel/ids.ts', text: 'if (things.has(prefix))', replacement: 'if (false as boolean)' }],
    caughtBy: {
      file: 'src/kernel/ids.test.ts',
      tests: ['refuses a prefix that is defined already, whatever it names'],
    },
    saying: /did not throw/,
  },
  {
    name: 'a repository is given a table of another module',
    harm: 'Orders write balances past the rules of the accounts, and nobody who changes those knows.',
    changes: [
      {
        file: 'src/modules/orders/orders.repository.ts',
        text: "Tables<'order'>",
        replacement: "Tables<'order' | 'account'>",
      },
    ],
    caughtBy: { file: 'test/ownership.test.ts', tests: ['is reached by nobody, but for the exceptions'] },
    saying: /"table": "account"/,
  },
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
        file: 'src/embedded/supervisor.ts',
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
        file: 'src/embedded/watcher.ts',
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
  {
    name: 'a secret that can be guessed is taken',
    harm: 'Whoever tries the words of a dictionary signs tokens of operators.',
    changes: [
      {
        file: 'src/config/secret.ts',
        text: 'if (bytes.length < leastBytes)',
        replacement: 'if (bytes.length < leastBytes / 4)',
      },
    ],
    caughtBy: { file: 'test/configuration.test.ts', tests: ['refuses a secret that %s, and does not repeat it'] },
    saying: /It was accepted\./,
  },
  {
    name: 'the variable of a platform is passed over',
    harm: 'A shop runs on a database of its own that is lost with its container, beside the one that was paid for.',
    changes: [
      {
        file: 'src/config/platform-variables.ts',
        text: '.filter((name) => isSet(env, name))\n      .map(',
        replacement: ".filter((name) => isSet(env, name) && name === '')\n      .map(",
      },
    ],
    caughtBy: {
      file: 'test/configuration.test.ts',
      tests: ['refuses %s by name where nothing else names a database'],
    },
    saying: /It was accepted\./,
  },
  {
    name: 'production begins with a database that nobody has named',
    harm: 'All orders are in a folder that the next release deletes.',
    changes: [
      {
        file: 'src/config/rules.ts',
        text: "NODE_ENV === 'production' && EMBEDDED_DATABASE === undefined",
        replacement: "NODE_ENV === 'production' && EMBEDDED_DATABASE === ''",
      },
    ],
    caughtBy: {
      file: 'test/configuration.test.ts',
      tests: ['needs to be told in production that the database that comes along is meant'],
    },
    saying: /It was accepted\./,
  },
  {
    name: 'a generated secret is taken whoever has read it',
    harm: 'Another user of the machine signs tokens of operators.',
    changes: [{ file: 'src/provision.ts', text: '  demandOwn(path);\n', replacement: '' }],
    caughtBy: {
      file: 'test/published-credentials.test.ts',
      tests: ['takes no secret that others may have read: who has read it is an operator'],
    },
    saying: /promise resolved instead of rejected/,
  },
  {
    name: 'a start that others reach goes on with published passwords',
    harm: 'Everybody who has read the README runs the shop.',
    changes: [
      {
        file: 'src/serve.ts',
        text: 'if (people.length === 0) return;',
        replacement: 'if (people.length !== -1) return;',
      },
    ],
    caughtBy: {
      file: 'test/published-credentials.test.ts',
      tests: ['its database is not served for %s while the passwords are the published ones'],
    },
    saying: /promise resolved instead of rejected/,
  },
  {
    name: 'what is over and still there is not told',
    harm: 'Nobody sees that rows come faster than they are removed, until the disk is full.',
    changes: [
      {
        file: 'src/retention/swept-table.ts',
        text: 'expiredLeft.publish({ table: this.table, ...left });',
        replacement: 'void left;',
      },
    ],
    caughtBy: {
      file: 'test/retention.test.ts',
      tests: ['tells after each round what is over and still there, and since when'],
    },
    saying: /"idempotency_record"/,
  },
  {
    name: 'a sweep begins anew with each batch',
    harm: 'While an old snapshot is open each batch reads all that was removed before: the sweep falls behind.',
    changes: [
      {
        file: 'src/retention/swept-table.ts',
        text: 'this.from = through ?? this.from;',
        replacement: 'this.from = through && null;',
      },
    ],
    caughtBy: {
      file: 'test/retention.test.ts',
      tests: ['goes on where it was, from batch to batch, after a failure and in the next round'],
    },
    saying: /\+ +null,/,
  },
  {
    name: 'what has expired is told by the time before the accounts were waited for',
    harm: 'A transfer that expired while somebody waited for its account is posted; one who waited less was told that it is over.',
    changes: [
      {
        file: 'src/transactions/locks.ts',
        text: "date_trunc('milliseconds', clock_timestamp())",
        replacement: "date_trunc('milliseconds', statement_timestamp())",
      },
    ],
    caughtBy: {
      file: 'test/reservations.test.ts',
      tests: ['is told when its accounts are locked, not when their lock was asked for'],
    },
    saying: /\+ +200,/,
  },
  {
    name: "what has expired is told by the process's own knowledge of the time",
    harm: 'Two instances answer differently: one says that a transfer has expired, the other posts it.',
    changes: [
      {
        file: 'src/modules/ledger/ledger.service.ts',
        text: 'latest([at ?? this.clock.now(), ',
        replacement: 'latest([this.clock.now(), ',
      },
    ],
    caughtBy: {
      file: 'test/reservations.test.ts',
      tests: ['is told by the clock of the database, whatever the process takes it for: %s ms off'],
    },
    saying: /expected (200|409)/,
  },
  {
    name: 'a log that is not archived counts as one that is',
    harm: 'The disk of the database fills, and the backup of last month is all that there is.',
    changes: [
      {
        file: 'src/database/wal-archive.ts',
        text: 'last_failed_time > coalesce(',
        replacement: 'last_failed_time < coalesce(',
      },
    ],
    caughtBy: {
      file: 'test/archive.test.ts',
      tests: [
        'a log that is not archived is told once, in the log and by the readiness, which stays 200; and that it is again',
      ],
    },
    saying: /-\s+"status": "degraded"/,
  },
  {
    name: 'two fills at once do not take turns',
    harm: 'The second ends in the midst of its work, and blames the rows of the first.',
    changes: [{ file: 'tools/fill/fill.mts', text: 'pg_advisory_xact_lock(${turn})', replacement: '${turn}' }],
    caughtBy: { file: 'test/fill.test.ts', tests: ['two at once take turns, beside a service at work'] },
    saying: /Expected: 0\s+Received: 1/,
  },
];
