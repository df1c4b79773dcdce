import type { PlantedBug } from './bugs.ts';

const modules = 'src/modules';
const strangers = 'test/strangers.test.ts';
const nobodyElse = 'does nothing to an account of their own that others could not';
const waits = '%s waits for what it may change, and for nothing else';

/** Mistakes in who may do what to whose account, and in what is looked at before anything is locked. */
export const bugsOfOwnership: readonly PlantedBug[] = [
  {
    name: 'money is sent to the house by a transfer',
    harm: 'Anybody locks the account that everybody buys through.',
    changes: [
      {
        file: `${modules}/ledger/ledger.ts`,
        text: 'transfer: { from: isOwn, to: ({ house }) => house === null }',
        replacement: 'transfer: { from: isOwn, to: () => true }',
      },
    ],
    caughtBy: { file: 'test/ledger-locks.test.ts', tests: [waits] },
    saying: /\+\s+"the sales of the house"/,
  },
  {
    name: 'a payment leaves an account of somebody else',
    harm: 'The shop is paid from the account of a stranger.',
    changes: [
      {
        file: `${modules}/ledger/ledger.ts`,
        text: 'payment: { from: isOwn,',
        replacement: 'payment: { from: () => true,',
      },
    ],
    caughtBy: { file: 'test/ledger-rules.test.ts', tests: ['%s'] },
    saying: /Expected: "account-not-found"\s+Received: null/,
  },
  {
    name: 'stock is held before anybody looks who pays',
    harm: 'Orders on the accounts of strangers keep everybody else from buying.',
    changes: [
      {
        file: 'src/modules/orders/placements.service.ts',
        text: 'skusOf(wanted.filter((_, n) => isOwn(parties, placings[n])))',
        replacement: 'skusOf(wanted)',
      },
    ],
    caughtBy: { file: 'test/ledger-locks.test.ts', tests: [waits] },
    saying: /\+\s+"a stock"/,
  },
  {
    name: 'a condition asks about the account of somebody else',
    harm: 'Some questions tell anybody the balance of anybody.',
    changes: [
      {
        file: `${modules}/ledger/ledger.ts`,
        text: '!(account && sees(by, account))',
        replacement: '!account',
      },
    ],
    caughtBy: { file: 'test/ledger-transfers.test.ts', tests: ['tell nobody about the account of somebody else'] },
    saying: /expected 404 .*, got 201/,
  },
  {
    name: 'an operator deposits on the own account',
    harm: 'Who runs the shop gives themselves money.',
    changes: [
      {
        file: `${modules}/ledger/ledger.ts`,
        text: "if (kind === 'deposit' && to.userId === by.userId) throw ownAccount();",
        replacement: '',
      },
    ],
    caughtBy: { file: strangers, tests: [nobodyElse] },
    saying: /"deposit",\s+-\s+403,/,
  },
  {
    name: 'an operator sets the limits of the own account',
    harm: 'Who runs the shop lends themselves what they like.',
    changes: [
      {
        file: `${modules}/accounts/account.ts`,
        text: 'if (isForOperators && account.userId === by.userId) throw ownAccount();',
        replacement: '',
      },
    ],
    caughtBy: { file: strangers, tests: [nobodyElse] },
    saying: /"overdraft",\s+-\s+403,/,
  },
  {
    name: 'an operator takes what is only reserved for them',
    harm: 'A reservation is a payment that the payer cannot stop.',
    changes: [
      {
        file: `${modules}/settlements/settlement.ts`,
        text: 'if (by.userId === both.to.userId && by.userId !== both.from.userId) throw ownAccount();',
        replacement: '',
      },
    ],
    caughtBy: { file: strangers, tests: [nobodyElse] },
    saying: /expected 403 .*, got 200/,
  },
  {
    name: 'an operator takes back what they have sent',
    harm: 'Who runs the shop pays with money that comes back.',
    changes: [
      {
        file: `${modules}/transfers/reversals.service.ts`,
        text: 'if (sender?.userId === by.userId && receiver?.userId !== by.userId) throw ownAccount();',
        replacement: '',
      },
    ],
    caughtBy: { file: strangers, tests: [nobodyElse] },
    saying: /expected 403 .*, got 201/,
  },
  {
    name: 'pending transfers of strangers are voided by list',
    harm: 'Anybody gives back what others have reserved.',
    changes: [
      {
        file: `${modules}/transfers/pending-transfers.service.ts`,
        text: 'this.stored.findAll(scopeOf(by), transferIds)',
        replacement: 'this.stored.findAll({}, transferIds)',
      },
    ],
    caughtBy: { file: 'test/reservations.test.ts', tests: ['are voided by list, each by itself, on either side'] },
    saying: /-\s+"transfer-not-found"/,
  },
  {
    name: 'a batch that is bound to fail asks what strangers can receive',
    harm: 'Anybody learns, for nothing, what is on any account.',
    changes: [
      {
        file: `${modules}/transfers/transfer-batches.service.ts`,
        text: "if (mode === 'atomic') await this.foresee(books, new Map(taken), movements);",
        replacement: '',
      },
    ],
    caughtBy: {
      file: strangers,
      tests: ['nothing is told for nothing: what is bound to be refused never asks an account of somebody else'],
    },
    saying: /a batch whose end cannot be/,
  },
  {
    name: 'what was done to a user can be rewritten by the service',
    harm: 'Whoever breaks into the service takes the traces away.',
    changes: [
      {
        file: 'prisma/migrations/20261130030000_identity/migration.sql',
        text: 'REVOKE UPDATE, DELETE ON "user_change" FROM holdfast_app;',
        replacement: '',
      },
    ],
    caughtBy: {
      file: 'test/database-roles.test.ts',
      tests: ['may do with each table what is written down, and no more'],
    },
    saying: /\+\s+"user_change": "INSERT, UPDATE, DELETE"/,
  },
  {
    name: 'the service writes the totals of reservations itself',
    harm: 'A mistake of ours lets an account pay what is reserved, and the rules agree.',
    changes: [
      {
        file: 'prisma/migrations/20261130010000_reservations_end_together/migration.sql',
        text: 'REVOKE INSERT, UPDATE, DELETE ON reservation_total FROM holdfast_app;',
        replacement: '',
      },
    ],
    caughtBy: {
      file: 'test/database-roles.test.ts',
      tests: ['may do with each table what is written down, and no more'],
    },
    saying: /\+\s+"reservation_total": "INSERT, UPDATE, DELETE"/,
  },
  {
    name: 'an account is locked before anybody looks whose it is',
    harm: 'Anybody holds up the payments of anybody.',
    changes: [
      {
        file: `${modules}/accounts/accounts.service.ts`,
        text: 'await this.demandRight(by, id);\n    const books',
        replacement: 'const books',
      },
    ],
    caughtBy: { file: 'test/ledger-locks.test.ts', tests: [waits] },
    saying: /\+\s+"the account of a stranger"/,
  },
  {
    name: 'a closing locks before anybody looks whose the account is',
    harm: 'Anybody holds up an account together with all that have something pending to it.',
    changes: [
      {
        file: `${modules}/accounts/accounts.service.ts`,
        text: 'await this.demandRight(by, id);\n    const { books',
        replacement: 'const { books',
      },
    ],
    caughtBy: { file: 'test/ledger-locks.test.ts', tests: [waits] },
    saying: /\+\s+"the account of a stranger"/,
  },
  {
    name: 'what cannot be reversed is locked all the same',
    harm: 'A customer who reverses payments in a loop keeps everybody else from buying.',
    changes: [
      {
        file: `${modules}/transfers/reversals.service.ts`,
        text: 'reversible(transfer, null, by);',
        replacement: '',
      },
    ],
    caughtBy: { file: 'test/ledger-locks.test.ts', tests: [waits] },
    saying: /\+\s+"the (sales|cash) of the house"/,
  },
  {
    name: 'a list of what is not pending is locked all the same',
    harm: 'A customer who voids payments in a loop keeps everybody else from buying.',
    changes: [
      {
        file: `${modules}/settlements/settlements.service.ts`,
        text: 'expiresAt !== null && settlement === null',
        replacement: 'expiresAt !== null || settlement === null',
      },
    ],
    caughtBy: { file: 'test/ledger-locks.test.ts', tests: [waits] },
    saying: /\+\s+"the sales of the house"/,
  },
];
