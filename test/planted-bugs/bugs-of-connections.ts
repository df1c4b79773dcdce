import type { PlantedBug } from './bugs.ts';

/** Mistakes in how the service deals with its connections to the database. */
export const bugsOfConnections: readonly PlantedBug[] = [
  {
    name: 'an outcome that was looked up is told before the standby has it',
    harm: 'A payment that only the crashed primary has is acknowledged, and lost with it.',
    changes: [
      {
        file: 'src/transactions/boundary/outcome.ts',
        text: `return (await within(deadline, replicated(pool, deadline))) === 'replicated' ? 'stored' : 'unknown';`,
        replacement: `return 'stored';`,
      },
    ],
    caughtBy: {
      file: 'test/synchronous-standby.test.ts',
      tests: ['a COMMIT that only the crashed primary has is not said to be stored before the standby has it'],
    },
    saying: /Expected: "unknown"\s+Received: "stored"/,
  },
  {
    name: 'an instance without a replica keeps the position of its writes to itself',
    harm: 'Whoever reads on an instance that has a replica does not find what was just acknowledged.',
    changes: [
      {
        file: 'src/transactions/reads/consistency.ts',
        text: 'if (!this.databases.hasPositions) return;',
        replacement: 'if (!this.databases.hasReplica) return;',
      },
    ],
    caughtBy: {
      file: 'test/consistency-fleet.test.ts',
      tests: ['outside any boundary is seen elsewhere with its token'],
    },
    saying: /expected 200 .*, got 400/,
  },
  {
    name: 'a session that cannot serve its statement is kept',
    harm: 'After a column has changed its type every write fails until the service is started anew.',
    changes: [
      {
        file: 'src/transactions/wire/connection.ts',
        text: 'return isStale(error, wasPrepared) ? this.distrust(error) : error;',
        replacement: 'return isStale(error, wasPrepared) && !wasPrepared ? this.distrust(error) : error;',
      },
    ],
    caughtBy: {
      file: 'test/stale-sessions.test.ts',
      tests: ['%s is done again on a fresh one when its result has changed'],
    },
    saying: /cached plan must not change result type/,
  },
  {
    name: 'nobody asks a new connection where it leads',
    harm: 'Connections to a standby fill the pool of the primary, and stay there when the address is right again.',
    changes: [
      {
        file: 'src/transactions/wire/session.ts',
        text: "if (isStandby && role === 'primary')",
        replacement: "if (isStandby && role === 'primary' && rows.length > 1)",
      },
    ],
    caughtBy: {
      file: 'test/wrong-server.test.ts',
      tests: ['writes are 503, reads are served, /readyz says why, and no request fails once it is right again'],
    },
    saying: /waited \d+ ms in vain|temporary-reduced-capacity/,
  },
];
