import type { PlantedBug } from './bugs.ts';

/** Mistakes in the lanes, which do commands of many callers in one boundary. */
export const bugsOfLanes: readonly PlantedBug[] = [
  {
    name: 'a batch stores commands that were done before',
    harm: 'A request that is sent again with its key moves the money again.',
    changes: [
      {
        file: 'src/http/idempotency/idempotency.repository.ts',
        text: 'SELECT refuse_missing(array_agg(e.place) FILTER (WHERE s.key IS NULL))',
        replacement: 'SELECT array_agg(e.place)',
      },
    ],
    caughtBy: {
      file: 'test/transfer-lanes.test.ts',
      tests: [
        'that were answered before are answered again, beside others that are new, and are refused for another body',
      ],
    },
    saying: /Expected: "\{|Expected: "980"/,
  },
  {
    name: 'a batch that breaks refuses all of its commands',
    harm: 'One command that cannot be done fails those of everybody else.',
    changes: [
      {
        file: 'src/transactions/lanes/batch.ts',
        text: 'if (!mayBeOfOne(error)) return',
        replacement: 'if (error !== null) return',
      },
    ],
    caughtBy: {
      file: 'test/lanes.test.ts',
      tests: ['leaves a command that breaks its batch (%s) to a boundary of its own'],
    },
    saying: /expect\(received\)\.toEqual\(expected\)/,
  },
  {
    name: 'a batch waits for rows that somebody else holds',
    harm: 'One account that is held keeps the transfers of everybody waiting.',
    changes: [
      {
        file: 'src/modules/ledger/ledger.repository.ts',
        text: `const options = rows === 'skip' ?`,
        replacement: `const options = rows === ('never' as string) ?`,
      },
      {
        file: 'src/transactions/lane.ts',
        text: 'const lockMs = 100;',
        replacement: 'const lockMs = 60_000;',
      },
    ],
    caughtBy: {
      file: 'test/transfer-lanes.test.ts',
      tests: ['transfers between others are made, and those of the account are once it is free'],
    },
    saying: /Received string: +"too late"/,
  },
  {
    name: 'the callers of a batch are answered before its COMMIT',
    harm: 'A kill between the two loses what was acknowledged.',
    changes: [
      {
        file: 'src/transactions/lanes/batch.ts',
        text: '    return outcomes;\n  }\n}',
        replacement:
          "    batch.forEach((one, n) => one.settle(outcomes[n] ?? { alone: 'unfit' }, null));\n    await new Promise((done) => setTimeout(done, 50));\n    return outcomes;\n  }\n}",
      },
    ],
    caughtBy: {
      file: 'test/kills.test.ts',
      tests: [
        'what was acknowledged is there, and what was not is done once by its key, over ${kills} kills in the middle of batches',
      ],
    },
    saying: /toMatchObject|"transfers"|Expected: "true"/,
  },
  {
    name: 'a command that is over is begun all the same',
    harm: 'Whoever was told that nothing was done finds it done.',
    changes: [
      {
        file: 'src/transactions/lanes/queue.ts',
        text: 'one.endsAt > now ||',
        replacement: 'one.endsAt > now + 60_000 ||',
      },
      {
        file: 'src/transactions/lanes/batch.ts',
        text: 'const isOver = performance.now() > one.endsAt;',
        replacement: 'const isOver = performance.now() > one.endsAt + 60_000;',
      },
    ],
    caughtBy: { file: 'test/lanes.test.ts', tests: ['does not begin a command whose time is over'] },
    saying: /Expected length: 40/,
  },
  {
    name: 'one caller may fill the whole queue of a lane',
    harm: 'Somebody who sends without end keeps everybody else out.',
    changes: [
      {
        file: 'src/transactions/lanes/queue.ts',
        text: 'line.length >= this.most / 2',
        replacement: 'line.length >= this.most',
      },
    ],
    caughtBy: {
      file: 'test/lanes.test.ts',
      tests: ['takes no more than it may, and of one caller no more than half'],
    },
    saying: /false/,
  },
  {
    name: 'the writer of a batch is not told where its write stands',
    harm: 'Whoever reads behind its own transfer does not find it.',
    changes: [
      {
        file: 'src/transactions/lane.ts',
        text: "if ('value' in outcome) this.around.reads.wrote(wire);",
        replacement: '',
      },
    ],
    caughtBy: {
      file: 'test/transfer-lanes.test.ts',
      tests: ['the writer of a batch reads what it has written, on the replica as well'],
    },
    saying: /expected 200 "OK", got 404/,
  },
];
