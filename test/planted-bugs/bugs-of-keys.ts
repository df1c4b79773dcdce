import type { PlantedBug } from './bugs.ts';

const phased = 'src/phased';
const leases = 'test/phased-runs.test.ts';

/** Mistakes in what an Idempotency-Key stands for, and in who goes on with a phased run. */
export const bugsOfKeys: readonly PlantedBug[] = [
  {
    name: 'a key stands for a route, whatever its path names',
    harm: 'Who posts a second transfer with the key of the first is told that it is posted.',
    changes: [
      {
        file: 'src/http/idempotency/idempotency.ts',
        text: "stringify([url, headers['if-match']",
        replacement: "stringify([url.length > 0, headers['if-match']",
      },
    ],
    caughtBy: {
      file: 'test/idempotency-fingerprints.test.ts',
      tests: ['that was sent to one thing is refused for another one on the same route'],
    },
    saying: /Received string:\s+"application\/json/,
  },
  {
    name: 'a fingerprint is a plain hash',
    harm: 'Whoever reads the table tries passwords against the fingerprints of sign-ups.',
    changes: [
      {
        file: 'src/http/idempotency/idempotency.ts',
        text: "createHmac('sha256', this.secret).update(said)",
        replacement: "createHmac('sha256', this.secret.subarray(32)).update(said)",
      },
    ],
    caughtBy: {
      file: 'test/idempotency-fingerprints.test.ts',
      tests: ['cannot be computed without the secret of the service, as a password may be in it'],
    },
    saying: /Expected: not "/,
  },
  {
    name: 'keys of all callers are one',
    harm: 'Somebody who takes the same key is refused, or told what a stranger was answered.',
    changes: [
      {
        file: 'src/http/idempotency/idempotency.interceptor.ts',
        text: 'request.principal?.userId ?? this.strangers',
        replacement: 'this.strangers',
      },
    ],
    caughtBy: {
      file: 'test/idempotency.test.ts',
      tests: ['of another caller, or to another route, is another request'],
    },
    saying: /expected 201 .*, got 422/,
  },
  {
    name: 'who was overtaken in a phased run goes on',
    harm: 'A card is charged by one attempt and the order is completed by another one.',
    changes: [
      {
        file: `${phased}/phased-runs.repository.ts`,
        text: 'attempts = ${lease.attempts}::int AND outcome IS NULL AND cardinality(phases) = ${before}::int',
        replacement: 'outcome IS NULL AND cardinality(phases) = ${before}::int',
      },
    ],
    caughtBy: { file: leases, tests: ['is held, gone on with and finished by its last attempt alone'] },
    saying: /Expected: false\s+Received: true/,
  },
  {
    name: 'nobody looks whether a phase was stored',
    harm: 'Two attempts at one phased run each do the rest of it.',
    changes: [
      {
        file: `${phased}/phased-runs.repository.ts`,
        text: 'SELECT refuse_missing(CASE WHEN NOT EXISTS (SELECT FROM added) THEN ARRAY[0] END)',
        replacement: 'SELECT FROM added',
      },
    ],
    caughtBy: { file: leases, tests: ['is not gone on with at step %s by who held it before'] },
    saying: /-\s+"name": "PhasedRunBusyError"|\+\s+"2"/,
  },
  {
    name: 'a phased run is taken on while somebody is at it',
    harm: 'Every repeat and every worker does the same work at once.',
    changes: [
      {
        file: `${phased}/phased-runs.repository.ts`,
        text: 'WHERE id = ${id}::uuid AND outcome IS NULL AND leased_until <= statement_timestamp()',
        replacement: 'WHERE id = ${id}::uuid AND outcome IS NULL',
      },
    ],
    caughtBy: {
      file: leases,
      tests: ['is held by one who takes it on, and by one of several who look for what nobody holds'],
    },
    saying: /-\s+null,/,
  },
  {
    name: 'several workers take on one phased run',
    harm: 'Two instances do the same work at the same moment.',
    changes: [
      {
        file: `${phased}/phased-runs.repository.ts`,
        text: '        AND leased_until <= statement_timestamp()\n      RETURNING',
        replacement: '      RETURNING',
      },
    ],
    caughtBy: {
      file: leases,
      tests: ['is held by one who takes it on, and by one of several who look for what nobody holds'],
    },
    saying: /\+\s+3,/,
  },
  {
    name: 'a phased run is not held while it is worked on',
    harm: 'A call outside that takes longer than the lease is made twice.',
    changes: [
      {
        file: `${phased}/phased-runs.ts`,
        text: 'setInterval(() => this.hold(run), this.config.leaseMs / 3)',
        replacement: 'setInterval(() => undefined, this.config.leaseMs / 3)',
      },
    ],
    caughtBy: { file: leases, tests: ['is extended while somebody is at it, however long a step takes'] },
    saying: /waited \d+ ms in vain/,
  },
  {
    name: 'a phased run gives the result of one boundary to another',
    harm: 'After a release that turned two phases round, a refund is taken for a charge.',
    changes: [
      {
        file: `${phased}/phase-recorder.ts`,
        text: 'if (phase.name !== name) throw',
        replacement: "if (name === '') throw",
      },
    ],
    caughtBy: {
      file: leases,
      tests: ['that comes to other boundaries when it is called again stores nothing more'],
    },
    saying: /Phase 1 of Steps\.run was/,
  },
  {
    name: 'a phased run that was told to come later has come to its end',
    harm: 'A payment is begun and never finished, as the other side was busy.',
    changes: [
      {
        file: `${phased}/outcome.ts`,
        text: "error instanceof ProblemError && error.type.kind !== 'unavailable'",
        replacement: 'error instanceof ProblemError',
      },
    ],
    caughtBy: { file: leases, tests: ['that was told to come again later has not come to its end'] },
    saying: /-\s+"2",/,
  },
  {
    name: 'the claim of a key is not sent',
    harm: 'A request that a client repeats is done again, and its answer overwrites the first one.',
    changes: [
      {
        file: 'src/transactions/wire/flight-plan.ts',
        text: 'const first = this.terms.first === null ? [] : [this.terms.first];',
        replacement: 'const first = this.terms.first === null ? [] : [this.terms.first].slice(1);',
      },
    ],
    caughtBy: {
      file: 'test/first-statements.test.ts',
      tests: ['that refuses the work has nothing of it carried out, and the substitute takes its place'],
    },
    saying: /what it came to before/,
  },
  {
    name: 'what the crowd before a row says is taken for a refusal of the work',
    harm: 'Work that should wait without a connection is begun again with one, and holds up everybody else.',
    changes: [
      {
        file: 'src/transactions/participant.ts',
        text: 'error instanceof DatabaseError || error instanceof NamedAnswerError',
        replacement: 'error instanceof DatabaseError',
      },
    ],
    caughtBy: {
      file: 'test/first-statements.test.ts',
      tests: ['is asked for once more not either where its work has given way before a row that many want'],
    },
    saying: /begin/,
  },
];
