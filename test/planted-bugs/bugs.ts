import { bugsOfBookings } from './bugs-of-bookings.ts';
import { bugsOfConnections } from './bugs-of-connections.ts';
import { bugsOfDiagnostics } from './bugs-of-diagnostics.ts';
import { bugsOfEvents } from './bugs-of-events.ts';
import { bugsOfHttp } from './bugs-of-http.ts';
import { bugsOfIdentity } from './bugs-of-identity.ts';
import { bugsOfKeys } from './bugs-of-keys.ts';
import { bugsOfLanes } from './bugs-of-lanes.ts';
import { bugsOfMail } from './bugs-of-mail.ts';
import { bugsOfOperations } from './bugs-of-operations.ts';
import { bugsOfOwnership } from './bugs-of-ownership.ts';
import { bugsOfWebhooks } from './bugs-of-webhooks.ts';

/** A text of a file, and what stands in its place. */
export interface Change {
  readonly file: string;
  /** Occurs in the file exactly once. */
  readonly text: string;
  readonly replacement: string;
}

/** A mistake that somebody could make, and the tests that must notice it. */
export interface PlantedBug {
  readonly name: string;
  /** What goes wrong in the world. */
  readonly harm: string;
  readonly changes: readonly Change[];
  /** The file and the titles of the tests that fail with it; with `%s` or `${…}` in a title, one of those that it stands for. */
  readonly caughtBy: { readonly file: string; readonly tests: readonly string[] };
  /** What each of them says when it fails, so that another mistake does not pass for this one. */
  readonly saying: RegExp;
}

const [modules, core] = ['src/modules', 'src/transactions'];
const migrations = 'prisma/migrations';

// Before the work, and in front of its first statement.
const noLock: readonly Change[] = ['make_interval(secs => ${keepSeconds})\n     ', 'double precision)\n       '].map(
  (before) => ({
    file: 'src/http/idempotency/idempotency.repository.ts',
    text: `${before} WHERE pg_try_advisory_xact_lock(hashtextextended(\${name}, 0))`,
    replacement: `${before} WHERE hashtextextended(\${name}, 0) IS NOT NULL`,
  }),
);

/** In the order of the ledger, the goods, the keys, the boundaries, the replicas, the doors. */
export const bugs: readonly PlantedBug[] = [
  {
    name: 'the row lock is dropped',
    harm: 'Two transfers decide over the same balance.',
    changes: [
      {
        file: `${core}/locks.ts`,
        text: 'ORDER BY ${key} FOR NO KEY UPDATE ${otherwise})',
        replacement: 'ORDER BY ${key}`',
      },
    ],
    caughtBy: {
      file: 'test/locks.test.ts',
      tests: ['keeps others from changing the row, but not from referring to it'],
    },
    saying: /Expected: false\s+Received: true/,
  },
  {
    name: 'rows are locked in the order of the request',
    harm: 'A transfer there and a transfer back wait for each other until one of them is thrown out.',
    changes: [
      {
        file: `${core}/locks.ts`,
        text: 'ORDER BY ${key} FOR NO KEY UPDATE',
        replacement: 'ORDER BY array_position(${ids}::uuid[], ${key}) FOR NO KEY UPDATE',
      },
    ],
    caughtBy: {
      file: 'test/locks.test.ts',
      tests: ['takes rows in the order of their ids: one that waits for a row holds those before it and none behind'],
    },
    saying: /waited \d+ ms in vain; the last answer: true/,
  },
  {
    name: 'tables are locked in the order of the request',
    harm: 'An order that takes its goods before its money and one that takes its money first wait for each other.',
    changes: [
      {
        file: `${core}/locks.ts`,
        text: 'for (const { table } of lockableTables().filter((one) => one.table in rows)) {',
        replacement: 'for (const table of Object.keys(rows) as Lockable[]) {',
      },
    ],
    caughtBy: {
      file: 'test/locks.test.ts',
      tests: ['takes tables in one order, however the members are written'],
    },
    saying: /\+\s+"account",\s+"session"/,
  },
  {
    name: 'nobody asks whether there is enough money',
    harm: 'An account goes below zero, as often as somebody sends what it does not hold.',
    changes: [
      {
        file: `${modules}/ledger/ledger.ts`,
        text: 'refuseFunds(both.from, movement.amount.amount);',
        replacement: '',
      },
      {
        file: `${migrations}/20261121000300_ledger/migration.sql`,
        text: `ADD CONSTRAINT "insufficient-funds" CHECK (house IS NOT DISTINCT FROM 'cash' OR balance + overdraft_limit - pending_out >= 0),`,
        replacement: '',
      },
    ],
    caughtBy: {
      file: 'test/ledger-races.test.ts',
      tests: ['and what is spent meanwhile never take more than there is'],
    },
    saying: /-\s+"422 insufficient-funds": 37/,
  },
  {
    name: 'only the database asks whether there is enough money',
    harm: 'One transfer that cannot be made takes all others of its partial batch with it.',
    changes: [
      {
        file: `${modules}/ledger/ledger.ts`,
        text: 'refuseFunds(both.from, movement.amount.amount);',
        replacement: '',
      },
    ],
    caughtBy: {
      file: 'test/ledger-transfers.test.ts',
      tests: ['that is partial makes what may be made and says of the others why not'],
    },
    saying: /expected 207 .*, got 422/,
  },
  {
    name: 'the settlement is read before the lock',
    harm: 'Of two that resolve a pending transfer at once the second is told to try again for ever, not that it is resolved.',
    changes: [
      {
        file: `${modules}/settlements/settlements.service.ts`,
        text: 'await this.stored.findSettlements(transfers.map(({ id }) => id))',
        replacement: 'new Map(transfers.map(({ id, settlement }) => [id, settlement]))',
      },
    ],
    caughtBy: { file: 'test/ledger-races.test.ts', tests: ['is posted by one of twenty'] },
    saying: /-\s+"409 already-posted": 19/,
  },
  {
    name: 'more can be reversed than was moved',
    harm: 'Whoever reverses too much is told that the service has failed; but for a rule of the database the money would go back twice.',
    changes: [
      {
        file: `${modules}/transfers/transfer.ts`,
        text: 'if (amount > remaining || amount === 0n)',
        replacement: 'if (amount === 0n)',
      },
    ],
    caughtBy: {
      file: 'test/ledger-transfers.test.ts',
      tests: ['move back what was received, in parts, and never more'],
    },
    saying: /expected 422 .*, got 500/,
  },
  {
    name: 'what is pending never expires',
    harm: 'Money that was reserved until noon is taken in the evening.',
    changes: [
      {
        file: `${modules}/settlements/settlement.ts`,
        text: "(expiresAt <= now ? 'expired' : 'pending')",
        replacement: "'pending'",
      },
    ],
    caughtBy: {
      file: 'test/ledger-transfers.test.ts',
      tests: ['that has expired is over for everybody, and gives the room to whoever needs it'],
    },
    saying: /-\s+"status": "expired"/,
  },
  {
    name: 'a preview asks the account of somebody else',
    harm: 'Somebody who asks often enough knows what is on the account.',
    changes: [
      {
        file: `${modules}/transfers/transfers.service.ts`,
        text: 'return this.ledger.foresee(await this.ledger.read(movement), movement);',
        replacement: `const decided = await this.ledger.decide(await this.ledger.read(movement), movement);
      return by.role === 'operator' ? decided : { ...decided, to: null };`,
      },
    ],
    caughtBy: {
      file: 'test/strangers.test.ts',
      tests: ['a preview says the same whatever the state of the account is, and leaves a line in the log'],
    },
    saying: /expected 200 .*, got 409/,
  },
  {
    name: 'a stranger is told why an account cannot receive',
    harm: 'Whoever sends a cent learns that somebody’s account is frozen.',
    changes: [
      {
        file: `${modules}/ledger/ledger.ts`,
        text: "const seen = movement.by.role === 'operator' || isSeen(books, movement);",
        replacement: "const seen = movement.kind === 'transfer' || isSeen(books, movement);",
      },
    ],
    caughtBy: {
      file: 'test/strangers.test.ts',
      tests: ['%s to an account that cannot receive it says one thing, whatever the reason'],
    },
    saying: /-\s+"code": "cannot-receive"/,
  },
  {
    name: 'every account that is named is locked',
    harm: 'A batch of a stranger that names the house holds up everybody’s orders.',
    changes: [
      {
        file: `${modules}/ledger/ledger.ts`,
        text: 'return mayReceive(parties, movement) ? [fromAccountId, toAccountId] : [fromAccountId];',
        replacement: 'return [fromAccountId, toAccountId];',
      },
    ],
    caughtBy: {
      file: 'test/ledger-locks.test.ts',
      tests: ['%s waits for what it may change, and for nothing else'],
    },
    saying: /\+\s+"the sales of the house"/,
  },
  {
    name: 'what has expired counts for good',
    harm: 'An account cannot pay what it shows as available.',
    changes: [
      { file: `${modules}/ledger/ledger.service.ts`, text: 'return expired.length > 0;', replacement: 'return false;' },
    ],
    caughtBy: {
      file: 'test/reservations.test.ts',
      tests: ['pays what it shows as available at once, though nobody has swept, after requests that failed as well'],
    },
    saying: /Received: "\/transfers\/0"/,
  },
  {
    name: 'pending transfers of one sender are counted side by side',
    harm: 'Somebody with several accounts has as many pending as they like.',
    changes: [
      {
        file: `${modules}/ledger/ledger.service.ts`,
        text: ': await this.reservations.lockSenders(wanted, rows);',
        replacement: ': new Set(wanted);',
      },
    ],
    caughtBy: {
      file: 'test/reservations.test.ts',
      tests: ['are bounded within a batch, and when many are made at once from several accounts'],
    },
    saying: /-\s+"201": 8/,
  },
  {
    name: 'the total of reservations does not see what is taken away',
    harm: 'An account whose pending transfers were voided can be made to count them still.',
    changes: [
      {
        file: `${migrations}/20261130010000_reservations_end_together/migration.sql`,
        text: 'CREATE TRIGGER reservations_are_taken_away AFTER DELETE ON reservation REFERENCING OLD TABLE AS removed\n  FOR EACH STATEMENT EXECUTE FUNCTION reservations_are_totalled();',
        replacement: '',
      },
    ],
    caughtBy: { file: 'test/ledger-transfers.test.ts', tests: ['is voided by either side, once'] },
    saying: /expected 200 .*, got 500/,
  },
  {
    name: 'an account of the house is remembered before it is stored',
    harm: 'After a first deposit that was refused nobody can be paid in that currency until the service starts again.',
    changes: [
      {
        file: `${modules}/accounts/house-accounts.ts`,
        text: 'afterCommit(() => {',
        replacement: 'afterCommit(() => undefined); [() => undefined].forEach(() => {',
      },
    ],
    caughtBy: {
      file: 'test/currencies.test.ts',
      tests: ['forgets an account of the house whose boundary was taken back'],
    },
    saying: /expected 201 .*, got 404/,
  },
  {
    name: 'money is split with floats',
    harm: 'The parts of a large amount are more or less than the whole.',
    changes: [
      {
        file: 'src/kernel/money.ts',
        text: 'weights.map((weight) => (amount * weight) / whole)',
        replacement: 'weights.map((weight) => BigInt(Math.floor((Number(amount) * Number(weight)) / Number(whole))))',
      },
    ],
    caughtBy: {
      file: 'src/kernel/money.test.ts',
      tests: ['sums to the whole, each part within a unit of its share, whatever the amount and the weights'],
    },
    saying: /Property failed/,
  },
  {
    name: 'a link of the chain does not seal the one before',
    harm: 'A transfer can be taken out of the books, or put in, and the rest of the chain still fits.',
    changes: [
      {
        file: 'src/modules/audit/chain.ts',
        text: 'hash: sha256(head.hash, canonicalBytes(item)),',
        replacement: 'hash: sha256(canonicalBytes(item)),',
      },
    ],
    caughtBy: { file: 'src/modules/audit/chain.test.ts', tests: ['continues the one before'] },
    saying: /not\.toEqual/,
  },
  {
    name: 'the chain does not wait for transactions that still run',
    harm: 'A transfer that was slow to commit is never sealed, and can be changed unseen.',
    changes: [
      {
        file: 'src/modules/audit/chain.repository.ts',
        text: "SELECT txid, 'transfer' AS item, id FROM transfer\n        WHERE txid >= ${txid} AND txid < pg_snapshot_xmin(pg_current_snapshot())::text::bigint",
        replacement: "SELECT txid, 'transfer' AS item, id FROM transfer\n        WHERE txid >= ${txid}",
      },
    ],
    caughtBy: {
      file: 'test/chain.test.ts',
      tests: ['waits for one that began earlier and is still at work, and skips nothing'],
    },
    saying: /Expected: 0\s+Received: [1-9]/,
  },
  {
    name: 'the books are reconciled outside of one snapshot',
    harm: 'Every transfer that comes while they are read is reported as a mistake, until nobody believes the reports.',
    changes: [
      {
        file: 'src/reconciliation/snapshot.ts',
        text: 'BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY;',
        replacement: 'BEGIN READ ONLY;',
      },
    ],
    caughtBy: {
      file: 'test/reconcile.test.ts',
      tests: ['sees one moment: what is stored while it reads is not half there'],
    },
    saying: /\+\s+"a stock is not the sum of its movements"/,
  },
  {
    name: 'nobody asks whether there are goods',
    harm: 'The last unit is sold fifty times.',
    changes: [
      {
        file: 'src/modules/catalog/stock.ts',
        text: 'if (short.length === 0)',
        replacement: 'if (short.length >= 0)',
      },
      {
        file: 'src/modules/catalog/stock.ts',
        text: 'if (onHand < 0)',
        replacement: 'if (onHand < -1000)',
      },
      {
        file: `${migrations}/20261121000200_rules/migration.sql`,
        text: 'ADD CONSTRAINT "out-of-stock" CHECK (on_hand >= 0),',
        replacement: '',
      },
    ],
    caughtBy: {
      file: 'test/races.test.ts',
      tests: ['the last unit goes to exactly one of fifty buyers, and the others leave nothing behind'],
    },
    saying: /-\s+"409 out-of-stock": 49/,
  },
  {
    name: 'the unique key of e-mail addresses is dropped',
    harm: 'Two people have one log-in.',
    changes: [
      {
        file: `${migrations}/20261121000100_users_accounts_catalog_orders/migration.sql`,
        text: 'CREATE UNIQUE INDEX "email-taken"',
        replacement: 'CREATE INDEX "email-taken"',
      },
    ],
    caughtBy: {
      file: 'test/races.test.ts',
      tests: ['an e-mail address is taken once, however many sign up with it at the same moment'],
    },
    saying: /-\s+"409 email-taken": 9/,
  },
  {
    name: 'a refresh token that is used twice does not end its session',
    harm: 'Whoever has stolen a refresh token stays logged in.',
    changes: [
      {
        file: 'src/modules/sessions/sessions.service.ts',
        text: "if (isUsed && (await this.sessions.end(sessionId, userId, 'token_reused')))",
        replacement: 'if (isUsed)',
      },
    ],
    caughtBy: {
      file: 'test/sessions.test.ts',
      tests: ['again after a lost answer gives the same next token, until that was used'],
    },
    saying: /-\s+"reason": "token_reused"/,
  },
  {
    name: 'nobody holds an Idempotency-Key while its request runs',
    harm: 'A second copy of a request waits for the first with a connection, instead of being told to come again.',
    changes: [...noLock],
    caughtBy: {
      file: 'test/idempotency.test.ts',
      tests: ['while the first is under way is told so at once, and to come again (%s)'],
    },
    saying: /-\s+"code": "idempotency-key-in-use"/,
  },
  {
    name: 'an Idempotency-Key is held by nobody and is not unique',
    harm: 'A request that a client repeats is paid for twice.',
    changes: [
      ...noLock,
      ...['${route}, ${key}, ${fingerprint}, st', '${route}, ${key}, ${fingerprint}::bytea,'].map((text) => ({
        file: 'src/http/idempotency/idempotency.repository.ts',
        text,
        replacement: text.replace('${key}', '${key + String(Math.random())}'),
      })),
    ],
    caughtBy: {
      file: 'test/idempotent-boundaries.test.ts',
      tests: ['is done once by copies at the same moment, at each level'],
    },
    saying: /Expected|expected/,
  },
  {
    name: 'a key is answered whatever was sent with it',
    harm: 'Somebody who sends 500 with the key of a transfer of 5 is told that it is done.',
    changes: [
      {
        file: 'src/http/idempotency/idempotent-request.ts',
        text: 'if (!this.request.fingerprint.equals(known.fingerprint))',
        replacement: 'if (this.request.fingerprint.length !== known.fingerprint.length)',
      },
    ],
    caughtBy: { file: 'test/idempotency.test.ts', tests: ['that is another one is refused'] },
    saying: /expected 422 .*, got 201/,
  },
  {
    name: 'the answer to a key is stored apart from the work',
    harm: 'The work is rolled back at its COMMIT, and whoever sends it again is told that it was done.',
    changes: [
      {
        file: 'src/transactions/transactions.ts',
        text: '  participating,\n',
        replacement: '  participating,\n  sendWithCommit,\n',
      },
      {
        file: 'src/transactions/transactions.ts',
        text: 'const fresh = { work: participating(participant, work), participant,',
        replacement:
          'const whole = participant === null ? work : async () => { const value = await work(); await this.run({ name: "apart", propagation: "requires-new" }, async () => { await participant.begin(); sendWithCommit(participant.finalStatement(value)); }); return value; }; const fresh = { work: whole, participant,',
      },
    ],
    caughtBy: {
      file: 'test/idempotency.test.ts',
      tests: ['that %s leaves nothing behind and can be sent again'],
    },
    saying: /-\s+0,\s+\+\s+1,/,
  },
  {
    name: 'a key draws a boundary of its own around that of the method',
    harm: 'A method that is serializable, or has a time of its own, is answered 500 where a key is sent.',
    changes: [
      {
        file: 'src/http/idempotency/idempotency.service.ts',
        text: 'await this.transactions.with(idempotent, handle);',
        replacement: "await this.transactions.run({ name: 'key' }, () => this.transactions.with(idempotent, handle));",
      },
    ],
    caughtBy: {
      file: 'test/idempotent-boundaries.test.ts',
      tests: ['is the one of the method, with its level, name and time'],
    },
    saying: /expected 201 .*, got 500/,
  },
  {
    name: 'a write without a boundary is stored apart from its key',
    harm: 'Copies of a request at the same moment are each done.',
    changes: [
      {
        file: `${core}/transactions.ts`,
        text: 'writes && participantOf(this) !== null',
        replacement: 'writes && (participantOf(this) as unknown) === undefined',
      },
    ],
    caughtBy: {
      file: 'test/idempotent-boundaries.test.ts',
      tests: ['is done once by copies at the same moment, at each level'],
    },
    saying: /Expected length: 1|Expected pattern/,
  },
  {
    name: 'a key is looked up before it is claimed',
    harm: 'Serializable boundaries under different keys are in conflict with each other.',
    changes: [
      {
        file: 'src/http/idempotency/idempotent-request.ts',
        text: 'private claimed(): Promise<boolean> {\n    return',
        replacement:
          'private async claimed(): Promise<boolean> {\n    if ((await this.context.records.find(this.request)) !== null) return false;\n    return',
      },
    ],
    caughtBy: {
      file: 'test/idempotent-boundaries.test.ts',
      tests: ['is in conflict with none of another key'],
    },
    saying: /-\s+Array \[\]|serialize access/,
  },
  {
    name: 'work is acknowledged before its COMMIT is answered',
    harm: 'A caller is told that it is done, and then it is not.',
    changes: [
      {
        file: 'src/transactions/boundary/adapter.ts',
        text: 'const slot = await slots.take(wire);',
        replacement: 'const slot = await slots.take(wire); let stored = Promise.resolve();',
      },
      {
        file: 'src/transactions/boundary/adapter.ts',
        text: 'await wire.commit(finalStatementsOf(beginning.final));',
        replacement: 'stored = wire.commit(beginning.final).catch(() => undefined);',
      },
      {
        file: 'src/transactions/boundary/adapter.ts',
        text: `wire.release();
      slots.giveBack(slot, wire.hasEndedCleanly && beginning.underWay === 0 && !beginning.hasFailed);`,
        replacement: `void stored.then(() => {
        wire.release();
        slots.giveBack(slot, wire.hasEndedCleanly && beginning.underWay === 0 && !beginning.hasFailed);
      });`,
      },
    ],
    caughtBy: { file: 'test/hooks.test.ts', tests: ['do not run when the commit fails'] },
    saying: /Expected: "23505"\s+Received: undefined/,
  },
  {
    name: 'hooks run before the COMMIT',
    harm: 'A mail tells of an order that nobody can find, and that may never have been stored.',
    changes: [
      {
        file: 'src/transactions/boundary/finishing.ts',
        text: 'boundary.finish();\n    return value;',
        replacement:
          'boundary.finish();\n    if (!boundary.isNested) await (await import("./hooks.ts")).fire(boundary.hooks.ofCommit(), boundary.name, true);\n    return value;',
      },
      {
        file: `${core}/transactions.ts`,
        text: "const hooks = outcome === 'committed' ? latest.hooks.ofCommit() : latest.hooks.ofRollback(error);",
        replacement: "const hooks = outcome === 'committed' ? [] : latest.hooks.ofRollback(error);",
      },
    ],
    caughtBy: {
      file: 'test/hooks.test.ts',
      tests: ['find what was written already stored, for everybody', 'do not run when the commit fails'],
    },
    saying: /-\s+"stored-\d+-inner"|\+\s+"work committed"/,
  },
  {
    name: 'BEGIN and its statement leave as messages of their own',
    harm: 'A statement whose BEGIN was cancelled is stored by itself, and its caller is told that nothing is.',
    changes: [
      {
        file: 'src/transactions/wire/connection.ts',
        text: 'this.query(new FlightQuery(flight, landed, this.namesStatements) as unknown as pg.Submittable);',
        replacement: `const { ahead, query, question } = flight;
        const inFront = ahead.length > 0 ? this.query(ahead.join('; ')) : null;
        const sent = this.query({ ...query, queryMode: 'extended' } as pg.QueryConfig);
        const asked = question === null ? null : this.query(question);
        const done = Promise.all([inFront, sent, asked]).then(([, answer, id]) => {
          Object.assign(flight, { done: 1, command: answer.command, answer: id?.rows[0]?.answer ?? null });
          landed(null, answer);
        });
        done.catch(landed);`,
      },
    ],
    caughtBy: {
      file: 'test/flights.test.ts',
      tests: ['%s: the rows are as the caller is told, whatever becomes of each statement'],
    },
    saying: /in statement 0: told (?:error: )?.*, stored \[cell-/,
  },
  {
    name: 'a statement that leaves while BEGIN is under way demands no transaction',
    harm: 'The second of two statements that are sent at once is stored although BEGIN has failed.',
    changes: [
      {
        file: 'src/transactions/wire/flight-plan.ts',
        text: "['SAVEPOINT begun', 'RELEASE SAVEPOINT begun']",
        replacement: '[]',
      },
    ],
    caughtBy: {
      file: 'test/flights.test.ts',
      tests: ['%s: the rows are as the caller is told, whatever becomes of each statement'],
    },
    saying: /in statement 0: told .*, stored \[cell-\d+-other\]/,
  },
  {
    name: 'a transaction whose BEGIN has failed stays open',
    harm: 'Work that swallows that error goes on without a transaction, and what it writes is stored by itself.',
    changes: [
      {
        file: 'src/transactions/wire/transaction.ts',
        text: "if (isFirst && flight.done === 0 && this.state === 'open') this.state = 'rolled-back';",
        replacement: '',
      },
    ],
    caughtBy: {
      file: 'test/flights.test.ts',
      tests: ['%s: the rows are as the caller is told, whatever becomes of each statement'],
    },
    saying: /in statement 0: told .*, stored \[cell-/,
  },
  {
    name: 'the options of run are not checked',
    harm: "A level in another library's spelling is taken for none, and the work runs at read committed.",
    changes: [
      {
        file: 'src/transactions/boundary/option-checks.ts',
        text: 'if (mistakes.length > 0) throw new TransactionOptionsError(subjectOf(given), mistakes);',
        replacement: '',
      },
    ],
    caughtBy: {
      file: 'test/options.test.ts',
      tests: ['tell all mistakes at once, with the name of the boundary'],
    },
    saying: /expected an error/,
  },
  {
    name: 'a transaction has begun when its connection is there',
    harm: 'A statement that comes while another one begins the transaction is told that it has ended.',
    changes: [
      {
        file: 'src/transactions/wire/transaction.ts',
        text: "(this.state === 'unsent' ? null : this.connection.client)",
        replacement: 'this.connection.client',
      },
    ],
    caughtBy: {
      file: 'test/raw-statements.test.ts',
      tests: ['may come at any moment while the one before it makes the transaction begin'],
    },
    saying: /TransactionEndedError/,
  },
  {
    name: 'an error that the work has swallowed is forgotten',
    harm: 'The caller is told that it is done, and nothing is stored.',
    changes: [
      {
        file: 'src/transactions/boundary/running-boundary.ts',
        text: 'if (this.failure !== null) throw new UnexpectedRollbackError(this.failure, swallowedIn ?? this.name, calledAt);',
        replacement: '',
      },
      {
        file: 'src/transactions/wire/commit.ts',
        text: "if (flight.command !== 'COMMIT') throw new TransactionRolledBackError();",
        replacement: '',
      },
    ],
    caughtBy: {
      file: 'test/transactions.test.ts',
      tests: ['never reports a commit that did not happen: a swallowed error of a statement is an error at its end'],
    },
    saying: /promise resolved instead of rejected/,
  },
  {
    name: 'an unknown outcome is told as a failure',
    harm: 'The work is done again although it was stored: it is paid twice.',
    changes: [
      {
        file: 'src/transactions/boundary/adapter.ts',
        text: "if (outcome === 'unknown') throw new CommitOutcomeUnknownError(name, error);",
        replacement: "if (outcome === 'unknown') throw this.cutOff(error);",
      },
    ],
    caughtBy: {
      file: 'test/commit-outcome.test.ts',
      tests: ['is unknown when the database cannot be asked until the deadline, and then no hook runs'],
    },
    saying:
      /Expected constructor: CommitOutcomeUnknownError\s+Received constructor: (TransactionExpired|ConnectionLost)Error/,
  },
  {
    name: 'an unknown outcome is told as a success',
    harm: 'An order that was lost is confirmed.',
    changes: [
      {
        file: 'src/transactions/boundary/adapter.ts',
        text: "if (outcome === 'unknown') throw new CommitOutcomeUnknownError(name, error);",
        replacement: '',
      },
    ],
    caughtBy: {
      file: 'test/commit-outcome.test.ts',
      tests: ['is unknown when the database cannot be asked until the deadline, and then no hook runs'],
    },
    saying: /Expected constructor: CommitOutcomeUnknownError\s+Received value has no prototype\s+Received value: null/,
  },
  {
    name: 'a COMMIT without an answer is asked about by nobody',
    harm: 'What was stored is done again, because the network swallowed the answer.',
    changes: [
      {
        file: 'src/transactions/boundary/adapter.ts',
        text: "const outcome = id === null ? 'stored' : await askOutcome(this.databases.write.pool, id, beginning.endsAt);",
        replacement: "const outcome: CommitOutcome = id === null ? 'stored' : 'not stored';",
      },
    ],
    caughtBy: {
      file: 'test/commit-outcome.test.ts',
      tests: ['costs nothing when COMMIT was done and its answer lost: the work is not done again'],
    },
    saying: /-\s+"attempts": 1/,
  },
  {
    name: 'a serialization failure is not tried again',
    harm: 'Authentication are refused for meeting each other.',
    changes: [
      {
        file: 'src/transactions/wire/failure-table.ts',
        text: "['40', 'conflict', 'transaction rollback'],",
        replacement: "['40', 'conflict', 'transaction rollback'],\n  ['40001', 'statement', 'serialization failure'],",
      },
    ],
    caughtBy: { file: 'test/retries.test.ts', tests: ['at a model query is tried again', 'at COMMIT is tried again'] },
    saying: /write conflict|could not serialize access/,
  },
  {
    name: 'the work is tried again in the transaction that is dead',
    harm: 'No second attempt can succeed.',
    changes: [
      {
        file: `${core}/transactions.ts`,
        text: 'await retrying(policy, once);',
        replacement: 'await once(1);',
      },
      {
        file: `${core}/transactions.ts`,
        text: 'return runToEnd(running, work);\n    };',
        replacement:
          'return finishing(running, () => retrying({ ...terms, retries: beginner.options.retry ?? defaultRetries }, work));\n    };',
      },
    ],
    caughtBy: {
      file: 'test/retries.test.ts',
      tests: ['at a model query is tried again', 'stores nothing of the attempts that met it'],
    },
    saying: /could not serialize access|planted|40001/,
  },
  {
    name: 'the server is not told how long a statement may run',
    harm: 'A statement that nobody waits for any more keeps its locks.',
    changes: [
      {
        file: 'src/transactions/wire/limits.ts',
        text: "ahead.tell('statement_timeout', statementMs, isAsked ? staleMs : Math.max(staleMs, staleShare * statementMs));",
        replacement: '',
      },
    ],
    caughtBy: { file: 'test/deadlines.test.ts', tests: ['and tells what ended it as the cause'] },
    saying: /Expected: "57014"/,
  },
  {
    name: 'work that outlives its boundary is let through',
    harm: 'What was started and not awaited writes into whatever transaction has the connection by then, or by itself.',
    changes: [
      {
        file: 'src/transactions/boundary/running-boundary.ts',
        text: `if (this.isOver)
      throw new DetachedTransactionError(
        \`\${this.name} is over, and work that it did not wait for asks for the database. Await it inside, or start it after.\`,
      );`,
        replacement: '',
      },
    ],
    caughtBy: {
      file: 'test/detached.test.ts',
      tests: ['is refused wherever it waited: timers, emitters, streams, microtasks'],
    },
    saying: /expected an error, was given|waited \d+ ms in vain/,
  },
  {
    name: 'a boundary that writes reads from the replica',
    harm: 'It decides over rows that it has not locked, as they were some time ago.',
    changes: [
      {
        file: 'src/transactions/client/routing-client.ts',
        text: 'if (running === null) return route.plain(call, () => send(call));',
        replacement: "if (running === null || call.kind === 'read') return route.plain(call);",
      },
    ],
    caughtBy: {
      file: 'test/read-your-writes.test.ts',
      tests: ['inside a boundary that writes happen in it, on the primary'],
    },
    saying: /\+\s+"holdfast read"/,
  },
  {
    name: 'the Consistency-Token is ignored',
    harm: 'Somebody who has just paid is shown the old balance by another instance, and pays again.',
    changes: [
      {
        file: 'src/transactions/reads/consistency.ts',
        text: 'return new Follower(key, shown === null ? lowest : { lsn: shown, untold: null });',
        replacement: 'return new Follower(key, lowest);',
      },
    ],
    caughtBy: {
      file: 'test/consistency.test.ts',
      tests: ['%s is seen by its writer on that instance, and with the token on another'],
    },
    saying: /Expected: "Single"|expected 200 .*, got 404/,
  },
  {
    name: 'what a caller has written is not remembered',
    harm: 'Somebody who reads what he has just written finds it gone.',
    changes: [
      {
        file: 'src/transactions/reads/consistency.ts',
        text: 'if (isLowest(watermark)) return;',
        replacement: 'if (!isLowest(watermark)) return;',
      },
    ],
    caughtBy: {
      file: 'test/read-your-writes.test.ts',
      tests: ['sees it though the replica stands still, and the reads return to the replica when it goes on'],
    },
    saying: /Expected: "First"/,
  },
  {
    name: 'orders are looked up without their owner',
    harm: 'Anybody who has the id of an order sees it.',
    changes: [
      {
        file: 'src/modules/orders/orders.repository.ts',
        text: 'this.db.order.findFirst({ where: { id, ...scope }, include: whole })',
        replacement: 'this.db.order.findFirst({ where: { id }, include: whole })',
      },
    ],
    caughtBy: {
      file: 'test/orders.test.ts',
      tests: ['shows nobody else’s orders, except to an operator, who sees all'],
    },
    saying: /expected 404 .*, got 200/,
  },
  {
    name: 'orders to be cancelled are looked up without their owner',
    harm: 'Anybody who has the id of an order cancels it.',
    changes: [
      {
        file: 'src/modules/orders/orders.repository.ts',
        text: '({ id, ...(userId !== null && { userId }) })',
        replacement: '({ id })',
      },
      {
        file: 'src/modules/orders/orders.repository.ts',
        text: ' && (userId === null || order.userId === userId)',
        replacement: '',
      },
    ],
    caughtBy: { file: 'test/orders.test.ts', tests: ['of somebody else is refused as not found and changes nothing'] },
    saying: /expected 404 .*, got 200/,
  },
  {
    name: 'a row is written by all columns that its table has',
    harm: 'No order can be placed while a release that adds a column is rolled out.',
    changes: [
      {
        file: 'src/modules/orders/orders.repository.ts',
        text: 'SELECT ${payments.columns} FROM json_populate_recordset(NULL::payment, ',
        replacement:
          "SELECT p.* FROM json_populate_recordset(json_populate_record(NULL::payment, json_build_object('created_at', statement_timestamp())), ",
      },
      {
        file: 'src/modules/orders/orders.repository.ts',
        text: 'INSERT INTO payment (${payments.columns})',
        replacement: 'INSERT INTO payment',
      },
      {
        file: 'src/modules/orders/orders.repository.ts',
        text: '${payments.json}::json))',
        replacement: '${payments.json}::json) AS p)',
      },
    ],
    caughtBy: {
      file: 'test/later-columns.test.ts',
      tests: [
        'every route works while each table has a column that only a later version knows, and each row has its default',
      ],
    },
    saying: /expected 201 "Created", got 500|: 500/,
  },
  {
    name: 'a cancellation finds an order that another one of its batch may see',
    harm: 'Anybody cancels an order that its buyer cancels at the same moment.',
    changes: [
      {
        file: 'src/modules/orders/orders.repository.ts',
        text: ' && (userId === null || order.userId === userId)',
        replacement: '',
      },
    ],
    caughtBy: {
      file: 'test/order-lanes.test.ts',
      tests: ['tells nobody of an order that somebody else cancels at the same moment'],
    },
    saying: /404 order-not-found/,
  },
  {
    name: 'accounts are looked up without their owner',
    harm: 'Anybody who has the id of an account sees its balance and its entries.',
    changes: [
      {
        file: `${modules}/accounts/accounts.repository.ts`,
        text: 'return this.db.account.findFirst({ where: { id, ...scope } });',
        replacement: 'return this.db.account.findFirst({ where: { id } });',
      },
    ],
    caughtBy: {
      file: 'test/accounts.test.ts',
      tests: ['of others are not found, nor are their entries; an operator sees them'],
    },
    saying: /expected 404 .*, got 200/,
  },
  {
    name: 'If-Match is ignored',
    harm: 'An edit overwrites the one that came just before it, and nobody is told.',
    changes: [
      {
        file: 'src/http/conditional/if-match.ts',
        text: '{ version: { in: [...expected] } }',
        replacement: '{}',
      },
    ],
    caughtBy: { file: 'test/catalog.test.ts', tests: ['needs the version that was seen'] },
    saying: /-\s+"version-mismatch"/,
  },
  {
    name: 'the seal of a cursor is not looked at',
    harm: 'A cursor that somebody has written himself is believed.',
    changes: [
      {
        file: 'src/http/pages/cursors.ts',
        text: 'if (!timingSafeEqual(seal, this.sealOf(place))) throw malformedCursor();',
        replacement: '',
      },
    ],
    caughtBy: {
      file: 'test/pages.test.ts',
      tests: ['is one everywhere where the secret is the same, and nowhere else'],
    },
    saying: /Expected: 400\s+Received: 200/,
  },
  {
    name: 'what comes in while an account is being closed is left pending',
    harm: 'The account cannot be closed as long as anybody sends to it, or is closed with money on its way to it.',
    changes: [
      {
        file: 'src/modules/settlements/arrivals.service.ts',
        text: 'if (mayRepeat && arrivals.length < current.length) throw new Outdated();',
        replacement: '',
      },
    ],
    caughtBy: {
      file: 'test/reservations.test.ts',
      tests: ['that come in while the account is being closed go back with the others'],
    },
    saying: /Expected: 200\s+Received: 409|\+\s+"pending"|Expected: "voided"/,
  },
  {
    name: 'what is foreseen of a batch counts for it',
    harm: 'A batch is refused with half as many pending transfers as there may be.',
    changes: [
      {
        file: 'src/modules/ledger/ledger.service.ts',
        text: `    counts: {
      ofSender: new Map(books.pending.counts.ofSender),
      ofPair: new Map(books.pending.counts.ofPair),
      onReceiver: new Map(books.pending.counts.onReceiver),
    },
`,
        replacement: '',
      },
    ],
    caughtBy: {
      file: 'test/reservations.test.ts',
      tests: ['of an atomic batch are counted once, though it is foreseen before it is decided'],
    },
    saying: /expected 201 "Created", got 409|-\s+"\/transfers\/5"/,
  },
  ...bugsOfBookings,
  ...bugsOfConnections,
  ...bugsOfDiagnostics,
  ...bugsOfOperations,
  ...bugsOfEvents,
  ...bugsOfHttp,
  ...bugsOfIdentity,
  ...bugsOfKeys,
  ...bugsOfLanes,
  ...bugsOfMail,
  ...bugsOfOwnership,
  ...bugsOfWebhooks,
];
