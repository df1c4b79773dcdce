import type { PlantedBug } from './bugs.ts';

/** Mistakes in how the service deals with its connections to the database. */
export const bugsOfConnections: readonly PlantedBug[] = [
  {
    name: 'an outcome that was looked up is told before the standby has it',
    harm: 'A payment that only the crashed primary has is acknowledged, and lost with it.',
    changes: [
      {
        file: 'src/transactions/outcome.ts',
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
        file: 'src/transactions/consistency.ts',
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
];
