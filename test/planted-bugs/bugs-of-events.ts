import type { PlantedBug } from './bugs.ts';

const file = 'test/events.test.ts';

/** Mistakes in how events are told, and acted on. */
export const bugsOfEvents: readonly PlantedBug[] = [
  {
    name: 'an event of a nested boundary that was rolled back is told',
    harm: 'A mail tells of an order that never was.',
    changes: [
      {
        file: 'src/transactions/boundary/hook-list.ts',
        text: '    this.undone.push(...inner.undone, ',
        replacement: '    this.final.push(...inner.final);\n    this.undone.push(...inner.undone, ',
      },
    ],
    caughtBy: {
      file,
      tests: ['is gone with what is rolled back: the boundary, or the nested one that has recorded it'],
    },
    saying: /-\s+0,\s+\+\s+1,/,
  },
  {
    name: 'the horizon passes over commits that are under way',
    harm: 'An event that is stored a little later than one behind it is never told.',
    changes: [
      {
        file: 'src/events/horizon.ts',
        text: 'const position = isSettled && watermark > contiguous ? watermark : contiguous;',
        replacement: 'const position = isSettled && watermark > contiguous ? watermark : last;',
      },
    ],
    caughtBy: {
      file,
      tests: ['ends before an event whose commit is under way, and passes one that was never stored'],
    },
    saying: /toEqual/,
  },
  {
    name: 'a position that was never stored holds the horizon up for ever',
    harm: 'After the first transaction that fails at its COMMIT nobody is told of anything.',
    changes: [
      {
        file: 'src/events/horizon.ts',
        text: 'oldestRunning >= settledBy;',
        replacement: 'oldestRunning < 0n;',
      },
    ],
    caughtBy: {
      file,
      tests: ['ends before an event whose commit is under way, and passes one that was never stored'],
    },
    saying: /toEqual/,
  },
  {
    name: 'an event is acknowledged before its effect is stored',
    harm: 'What a consumer did not come to when it failed is never done.',
    changes: [
      {
        file: 'src/queues/queue-worker.ts',
        text: 'return this.inTime(unitOfWork(name, () => this.tools.transactions.with(participant, run)));',
        replacement: `return this.tools.transactions
      .with(participant, () => this.alone('acknowledge', async () => undefined))
      .then(() => unitOfWork(name, run));`,
      },
    ],
    caughtBy: { file, tests: ['is tried again when it has failed, and nothing of the failed attempt stays'] },
    saying: /"first",/,
  },
  {
    name: 'an event that never ends is given back with its group',
    harm: 'It is taken on with the same others again and again, and none of them is ever done.',
    changes: [
      {
        file: 'src/queues/queue-worker.ts',
        text: 'for (const one of group) if (!isLate(one)) await this.doAlone(one.item);',
        replacement: 'for (const one of group) await (isLate(one) ? this.release(one.item) : this.doAlone(one.item));',
      },
    ],
    caughtBy: { file, tests: ['does the others although one of them never ends, and counts its attempts'] },
    saying: /Expected: 19/,
  },
  {
    name: 'an event that fails counts against its group',
    harm: 'What would have been done is given up, as it was done together with what cannot be.',
    changes: [
      {
        file: 'src/queues/queue-worker.ts',
        text: 'for (const one of group) if (!isLate(one)) await this.doAlone(one.item);',
        replacement: `for (const one of group)
      if (group.length === 1) await this.doAlone(one.item);
      else await this.fail(one.item, new Error('together'));`,
      },
    ],
    caughtBy: { file, tests: ['does each by itself, once, where one of them fails: it alone counts as failed'] },
    saying: /failed|toEqual/,
  },
  {
    name: 'the next event of a thing does not wait for the one before',
    harm: 'A parcel is sent for an order that was cancelled.',
    changes: [
      {
        file: 'src/events/deliveries.repository.ts',
        text: 'head.order_key = d.order_key AND',
        replacement: 'head.position = d.position AND',
      },
    ],
    caughtBy: { file, tests: ['is told of one thing in the order of its commits, also behind a failure'] },
    saying: /-0"/,
  },
  {
    name: 'whoever has lost a delivery stores its effect all the same',
    harm: 'What was taken over from a slow instance is done twice.',
    changes: [
      {
        file: 'src/events/deliveries.repository.ts',
        text: 'AND d.position = h.position AND d.lease = h.lease',
        replacement: 'AND d.position = h.position AND h.lease IS NOT NULL',
      },
      {
        file: 'src/events/deliveries.repository.ts',
        text: 'CASE WHEN (SELECT count(*) FROM removed) < ${deliveries.length}::int THEN ARRAY[0] END',
        replacement: 'CASE WHEN ${deliveries.length}::int < 0 THEN ARRAY[0] END',
      },
    ],
    caughtBy: { file, tests: ['is taken over when its lease is over, and whoever comes late stores nothing'] },
    saying: /\+\s+"first",/,
  },
  {
    name: 'a position is drawn before the transaction has its id',
    harm: 'Who waits for all transactions before an id does not wait for this one: its event is never told.',
    changes: [
      {
        file: 'prisma/migrations/20261130220000_events/migration.sql',
        text: 'PERFORM pg_current_xact_id();',
        replacement: 'PERFORM 1;',
      },
    ],
    caughtBy: { file, tests: ['counts on a transaction having its id before it draws a position'] },
    saying: /"has_id": false/,
  },
  {
    name: 'the feed reads above the horizon',
    harm: 'Whoever follows the feed never sees an event that was stored a little later than one behind it.',
    changes: [
      {
        file: 'src/modules/events/feed.repository.ts',
        text: 'WHERE owner_id = ${userId}::uuid AND position > ${after} AND position <= (SELECT position FROM event_horizon)',
        replacement: 'WHERE owner_id = ${userId}::uuid AND position > ${after}',
      },
    ],
    caughtBy: {
      file: 'test/event-feed.test.ts',
      tests: ['waits for a commit that is late, and passes over nothing'],
    },
    saying: /\+\s+"early-/,
  },
  {
    name: 'the feed forgets whose events it reads',
    harm: 'Every customer reads what all others do.',
    changes: [
      {
        file: 'src/modules/events/feed.repository.ts',
        text: 'WHERE owner_id = ${userId}::uuid AND position',
        replacement: 'WHERE owner_id IS NOT NULL AND ${userId}::uuid IS NOT NULL AND position',
      },
    ],
    caughtBy: {
      file: 'test/event-feed.test.ts',
      tests: ['shows a customer what is theirs on either side, an operator everything, and nobody the rest'],
    },
    saying: /\+\s+"of-bob",/,
  },
];
