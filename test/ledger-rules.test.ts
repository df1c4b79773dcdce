/** @servers any */
import { newId } from '../src/kernel/ids.ts';
import { money } from '../src/kernel/money.ts';
import { attempt, ProblemError } from '../src/kernel/problem.ts';
import {
  type AccountState,
  availableOf,
  type Books,
  type Condition,
  type Movement,
  pairOf,
  type PendingCounts,
} from '../src/modules/ledger/movement.ts';
import { changeSettings, refuseClosing, showAccount } from '../src/modules/accounts/account.ts';
import { decide as decideIn, foresee } from '../src/modules/ledger/ledger.ts';
import { reversalAmount, reversible } from '../src/modules/transfers/transfer.ts';
import {
  type Resolution,
  settle as settleBy,
  statusOf,
  type StoredTransfer,
} from '../src/modules/settlements/settlement.ts';

const now = new Date('2026-11-21T12:00:00Z');
const before = new Date(now.getTime() - 1);
const after = new Date(now.getTime() + 1);
const eur = (amount: bigint) => money(amount, 'EUR');

const account = (id: string, balance: bigint, changes: Partial<AccountState> = {}): AccountState => ({
  id,
  userId: `owner of ${id}`,
  house: null,
  name: 'Main',
  currency: 'EUR',
  balance,
  pendingOut: 0n,
  pendingIn: 0n,
  expiredThrough: new Date(0),
  entryCount: 3,
  overdraftLimit: 0n,
  maxBalance: null,
  frozenAt: null,
  closedAt: null,
  version: 1,
  balanceVersion: 7,
  createdAt: before,
  ...changes,
});
const cash = (balance: bigint) => account('a', balance, { userId: null, house: 'cash' });
const movement = (changes: Partial<Movement> = {}): Movement => ({
  id: newId(),
  kind: 'transfer',
  fromAccountId: 'a',
  toAccountId: 'b',
  amount: eur(100n),
  note: null,
  expiresAt: null,
  conditions: {},
  reverses: null,
  by: { userId: 'owner of a', role: 'customer' },
  ...changes,
});
const refusalOf = (decision: () => unknown): ProblemError | null => {
  const decided = attempt(decision);
  return decided instanceof ProblemError ? decided : null;
};
const codeOf = (decision: () => unknown): string | null => refusalOf(decision)?.code ?? null;
const placeOf = (decision: () => unknown): string | undefined => refusalOf(decision)?.errors[0]?.pointer;
const books = (...accounts: AccountState[]) => new Map(accounts.map((one) => [one.id, one]));
const over = (accounts: Map<string, AccountState>, pending: Books['pending'] = null): Books => ({
  parties: accounts,
  accounts,
  pending,
});
const decide = (accounts: Map<string, AccountState>, moved: Movement) => decideIn(over(accounts), moved);
const operator = { userId: 'an operator', role: 'operator' } as const;
const sender = { userId: 'owner of a', role: 'customer' } as const;
const settle = (accounts: Map<string, AccountState>, transfer: StoredTransfer, resolution: Resolution, at: Date) =>
  settleBy(sender, accounts, transfer, { resolution, now: at });

describe('a movement of money', () => {
  const rich = account('a', 100n);
  const poor = account('b', 0n);
  const sales = account('b', 0n, { userId: null, house: 'sales' });
  const [pending, payment, notFound] = [{ expiresAt: after }, { kind: 'payment' } as const, 'account-not-found'];
  it.each<[string, AccountState, AccountState, Partial<Movement>, string | null]>([
    ['of all that is there is allowed', rich, poor, {}, null],
    ['of more than is there is refused', account('a', 99n), poor, {}, 'insufficient-funds'],
    ['into the overdraft is allowed', account('a', 0n, { overdraftLimit: 100n }), poor, {}, null],
    ['beyond the overdraft is refused', account('a', 0n, { overdraftLimit: 99n }), poor, {}, 'insufficient-funds'],
    ['of what is reserved is refused', account('a', 199n, { pendingOut: 100n }), poor, {}, 'insufficient-funds'],
    ['of what is not reserved is allowed', account('a', 200n, { pendingOut: 100n }), poor, {}, null],
    ['of what has yet to come is refused', account('a', 0n, { pendingIn: 100n }), poor, {}, 'insufficient-funds'],
    ['that is pending needs the room as well', account('a', 99n), poor, pending, 'insufficient-funds'],
    ['up to the largest balance is allowed', rich, account('b', 900n, { maxBalance: 1000n }), {}, null],
    ['beyond the largest balance is refused', rich, account('b', 901n, { maxBalance: 1000n }), {}, 'cannot-receive'],
    [
      'to an account on which others have reserved all the room is allowed',
      rich,
      account('b', 0n, { maxBalance: 1000n, pendingIn: 1000n }),
      {},
      null,
    ],
    [
      'that is pending needs no room on the other side',
      rich,
      account('b', 1000n, { maxBalance: 1000n }),
      pending,
      null,
    ],
    [
      'back from sales passes by the largest balance',
      account('a', 100n, { house: 'sales', userId: null }),
      account('b', 1000n, { maxBalance: 1000n }),
      { kind: 'refund' },
      null,
    ],
    ['from a frozen account is refused', account('a', 100n, { frozenAt: now }), poor, {}, 'account-frozen'],
    ['to a frozen account is refused', rich, account('b', 0n, { frozenAt: now }), {}, 'cannot-receive'],
    ['from a closed account is refused', account('a', 100n, { closedAt: now }), poor, {}, 'account-closed'],
    ['to a closed account is refused', rich, account('b', 0n, { closedAt: now }), {}, 'cannot-receive'],
    ['from another currency is refused', account('a', 100n, { currency: 'USD' }), poor, {}, 'currency-mismatch'],
    ['to another currency is refused', rich, account('b', 0n, { currency: 'USD' }), {}, 'cannot-receive'],
    ['from what is not one’s own is refused', account('a', 100n, { userId: 'x' }), poor, {}, 'account-not-found'],
    ['from an account of the house is refused', cash(100n), poor, {}, 'account-not-found'],
    ['to an account of the house is refused', rich, account('b', 0n, { house: 'sales' }), {}, 'cannot-receive'],
    ['that the receiver cannot count is refused', rich, account('b', 9007199254740892n), {}, 'cannot-receive'],
    ['that the receiver can just count is allowed', rich, account('b', 9007199254740891n), {}, null],
    ['from cash may go below zero', cash(0n), poor, { kind: 'deposit' }, null],
    [
      'that cash cannot count is refused',
      cash(-9007199254740892n),
      poor,
      { kind: 'deposit', by: operator },
      'balance-too-large',
    ],
    [
      'from sales may not',
      account('a', 0n, { house: 'sales', userId: null }),
      poor,
      { kind: 'refund' },
      'insufficient-funds',
    ],
    ['that pays from what is not one’s own is refused', account('a', 100n, { userId: 'x' }), sales, payment, notFound],
    ['that pays anybody but the sales of the house is refused', rich, poor, payment, 'cannot-receive'],
    ['that pays the cash of the house is refused', rich, { ...sales, house: 'cash' }, payment, 'cannot-receive'],
    ['that is deposited from anywhere but cash is refused', rich, poor, { kind: 'deposit', by: operator }, notFound],
    ['that is deposited with the house is refused', cash(100n), sales, { kind: 'deposit', by: operator }, notFound],
    ['that is refunded from anywhere but sales is refused', cash(100n), poor, { kind: 'refund' }, notFound],
  ])('%s', (_, from, to, changes, code) => {
    expect(codeOf(() => decide(books(from, to), movement(changes)))).toBe(code);
  });

  it('to the account itself is refused, and one to an account that is not there', () => {
    expect(codeOf(() => decide(books(rich), movement({ toAccountId: 'a' })))).toBe('same-account');
    expect(placeOf(() => decide(books(rich), movement()))).toBe('/toAccountId');
    expect(placeOf(() => decide(books(poor), movement()))).toBe('/fromAccountId');
  });

  it('leaves both accounts with what has moved, one entry and one version more', () => {
    expect(decide(books(rich, poor), movement())).toEqual({
      from: { ...rich, balance: 0n, entryCount: 4, balanceVersion: 8 },
      to: { ...poor, balance: 100n, entryCount: 4, balanceVersion: 8 },
    });
  });

  it('that is pending leaves the balances, and reserves on both sides', () => {
    expect(decide(books(rich, poor), movement(pending))).toEqual({
      from: { ...rich, pendingOut: 100n, balanceVersion: 8 },
      to: { ...poor, pendingIn: 100n, balanceVersion: 8 },
    });
  });

  it.each<[Condition, 'from' | 'to', string | null, string | undefined]>([
    [{ ifVersion: 7 }, 'from', null, undefined],
    [{ ifVersion: 6 }, 'from', 'condition-not-met', '/conditions/from/ifVersion'],
    [{ ifAvailableAtLeast: eur(100n) }, 'from', null, undefined],
    [{ ifAvailableAtLeast: eur(101n) }, 'from', 'condition-not-met', '/conditions/from/ifAvailableAtLeast'],
    [
      { ifAvailableAtLeast: money(1n, 'USD') },
      'from',
      'currency-mismatch',
      '/conditions/from/ifAvailableAtLeast/currency',
    ],
    [{ ifVersion: 7 }, 'to', 'account-not-found', '/conditions/to'],
  ])('with the condition %j on %s is %s', (condition, side, code, pointer) => {
    const decision = () => decide(books(rich, poor), movement({ conditions: { [side]: condition } }));
    expect([codeOf(decision), placeOf(decision)]).toEqual([code, pointer]);
  });

  it('is refused by its reason to whoever may see the account, and for none to whoever asks in vain', () => {
    const full = account('b', 0n, { maxBalance: 99n });
    const by = { userId: 'owner of a', role: 'operator' } as const;
    for (const [to, code] of [
      [full, 'balance-too-large'],
      [account('b', 0n, { frozenAt: now }), 'account-frozen'],
      [account('b', 0n, { closedAt: now }), 'account-closed'],
      [account('b', 0n, { currency: 'USD' }), 'currency-mismatch'],
      [account('b', 0n, { house: 'sales' }), 'account-not-found'],
    ] as const) {
      expect(codeOf(() => decide(books(rich, to), movement({ by })))).toBe(code);
      const refused = refusalOf(() => decide(books(rich, to), movement()));
      expect([refused?.type.kind, refused?.message, refused?.errors]).toEqual([
        'conflict',
        'The account cannot receive this.',
        [{ pointer: '/toAccountId', code: 'cannot-receive' }],
      ]);
      // The own account speaks first, and a preview asks no other.
      expect(codeOf(() => decide(books(account('a', 99n), to), movement()))).toBe('insufficient-funds');
      expect(foresee(over(books(rich, to)), movement())).toMatchObject({ from: { balance: 0n }, to: null });
    }
  });

  it('is never an operator’s deposit on the own account', () => {
    const own = { userId: 'owner of b', role: 'operator' } as const;
    expect(codeOf(() => decide(books(cash(0n), poor), movement({ kind: 'deposit', by: own })))).toBe('own-account');
  });

  it('that is pending is one of so many as may be, of the sender, to one account, and on it', () => {
    const bounds = { perSender: 3, perPair: 2, perReceiver: 5 };
    const ask = (counts: PendingCounts, by: Movement['by'] = sender) =>
      codeOf(() => decideIn(over(books(rich, poor), { counts, bounds }), movement({ ...pending, by })));
    const counts = (ofSender: number, ofPair: number, onReceiver: number): PendingCounts => ({
      ofSender: new Map([[sender.userId, ofSender]]),
      ofPair: new Map([[pairOf({ by: sender, toAccountId: 'b' }), ofPair]]),
      onReceiver: new Map([['b', onReceiver]]),
    });
    expect(ask(counts(2, 1, 4))).toBeNull();
    expect(ask(counts(3, 1, 4))).toBe('too-many-pending');
    expect(ask(counts(2, 2, 4))).toBe('too-many-pending');
    expect(ask(counts(2, 1, 5))).toBe('cannot-receive');
    expect(ask(counts(2, 1, 5), { ...sender, role: 'operator' })).toBe('too-many-pending');
  });

  it('with a condition on an account of others is decided for operators', () => {
    const by = { userId: 'owner of a', role: 'operator' } as const;
    expect(codeOf(() => decide(books(rich, poor), movement({ by, conditions: { to: { ifVersion: 7 } } })))).toBeNull();
  });
});

describe('a pending transfer', () => {
  const from = account('a', 100n, { pendingOut: 60n });
  const to = account('b', 0n, { pendingIn: 60n });
  const stored = (changes: Partial<StoredTransfer> = {}): StoredTransfer => ({
    id: newId(),
    kind: 'transfer',
    fromAccountId: 'a',
    toAccountId: 'b',
    amount: 60n,
    currency: 'EUR',
    expiresAt: after,
    settlement: null,
    ...changes,
  });
  const posted = { outcome: 'posted', amount: null } as const;
  const voided = { outcome: 'voided' } as const;

  it.each<[string, Partial<StoredTransfer>, string]>([
    ['that waits is pending', {}, 'pending'],
    ['whose time has come is expired', { expiresAt: now }, 'expired'],
    [
      'that was posted in time is posted',
      { expiresAt: before, settlement: { outcome: 'posted', amount: 1n } },
      'posted',
    ],
    ['that was voided is voided', { settlement: { outcome: 'voided', amount: null } }, 'voided'],
    ['that never was one is posted', { expiresAt: null }, 'posted'],
  ])('%s', (_, changes, status) => {
    expect(statusOf(stored(changes), now)).toBe(status);
  });

  it.each([
    [{ expiresAt: now }, 'expired'],
    [{ expiresAt: null }, 'already-posted'],
    [{ settlement: { outcome: 'posted', amount: 1n } }, 'already-posted'],
    [{ settlement: { outcome: 'voided', amount: null } }, 'already-voided'],
    [{ settlement: { outcome: 'expired', amount: null } }, 'expired'],
  ] as const)('%# is resolved once', (changes, code) => {
    for (const resolution of [posted, voided])
      expect(codeOf(() => settle(books(from, to), stored(changes), resolution, now))).toBe(code);
  });

  it('is posted in part, and the rest is free again', () => {
    expect(settle(books(from, to), stored(), { outcome: 'posted', amount: eur(25n) }, now)).toEqual({
      from: { ...from, balance: 75n, pendingOut: 0n, entryCount: 4, balanceVersion: 8 },
      to: { ...to, balance: 25n, pendingIn: 0n, entryCount: 4, balanceVersion: 8 },
    });
  });

  it('is over once an account counts it no more, whatever the clock says', () => {
    const counted = { ...to, expiredThrough: after };
    for (const resolution of [posted, voided])
      expect(codeOf(() => settle(books(from, counted), stored(), resolution, now))).toBe('expired');
  });

  it('is posted where there is room by then, and why not is told to whoever may see the account', () => {
    const full = { ...to, maxBalance: 59n };
    for (const [receiver, code] of [
      [full, 'balance-too-large'],
      [{ ...to, frozenAt: now }, 'account-frozen'],
      [{ ...to, closedAt: now }, 'account-closed'],
    ] as const) {
      expect(codeOf(() => settle(books(from, receiver), stored(), posted, now))).toBe('cannot-receive');
      expect(codeOf(() => settleBy(operator, books(from, receiver), stored(), { resolution: posted, now }))).toBe(code);
    }
    const own = { userId: 'owner of b', role: 'operator' } as const;
    expect(codeOf(() => settleBy(own, books(from, to), stored(), { resolution: posted, now }))).toBe('own-account');
    expect(codeOf(() => settleBy(own, books(from, to), stored(), { resolution: voided, now }))).toBeNull();
  });

  it('is posted as a whole where nothing else is said', () => {
    expect(settle(books(from, to), stored(), posted, now)).toMatchObject({
      from: { balance: 40n },
      to: { balance: 60n },
    });
  });

  it('is voided without an entry, also between accounts that are frozen', () => {
    const [frozenFrom, frozenTo] = [account('a', 100n, { pendingOut: 60n, frozenAt: now }), to];
    expect(settle(books(frozenFrom, frozenTo), stored(), voided, now)).toEqual({
      from: { ...frozenFrom, pendingOut: 0n, balanceVersion: 8 },
      to: { ...to, pendingIn: 0n, balanceVersion: 8 },
    });
    expect(codeOf(() => settle(books(frozenFrom, frozenTo), stored(), posted, now))).toBe('account-frozen');
  });

  it('is not posted beyond its amount or in another currency', () => {
    const ask = (amount: ReturnType<typeof money>) =>
      codeOf(() => settle(books(from, to), stored(), { outcome: 'posted', amount }, now));
    expect(ask(eur(60n))).toBeNull();
    expect(ask(eur(61n))).toBe('exceeds-pending');
    expect(ask(money(1n, 'USD'))).toBe('currency-mismatch');
  });

  describe('or another, reversed', () => {
    const customer = { role: 'customer' } as const;
    it.each([
      [{ expiresAt: null }, customer, null],
      [{ settlement: { outcome: 'posted', amount: 25n } }, customer, null],
      [{}, customer, 'not-posted'],
      [{ settlement: { outcome: 'voided', amount: null } }, customer, 'not-posted'],
      [{ kind: 'payment', expiresAt: null }, customer, 'not-reversible'],
      [{ kind: 'reversal', expiresAt: null }, { role: 'operator' }, 'not-reversible'],
      [{ kind: 'deposit', expiresAt: null }, customer, 'not-reversible'],
      [{ kind: 'deposit', expiresAt: null }, { role: 'operator' }, null],
    ] as const)('%j by %j is %s', (changes, by, code) => {
      expect(codeOf(() => reversible(stored(changes), null, by))).toBe(code);
    });

    it('has left what was posted and not reversed before', () => {
      const transfer = stored({ settlement: { outcome: 'posted', amount: 25n } });
      const left = reversible(transfer, { reversalSeq: 2, reversedTotal: 10n }, customer);
      expect(left).toEqual({ remaining: 15n, seq: 3, total: 10n });
      if (left instanceof ProblemError) throw left;
      expect(reversalAmount(left, 'EUR', null)).toEqual(eur(15n));
      expect(reversalAmount(left, 'EUR', eur(15n))).toEqual(eur(15n));
      expect(codeOf(() => reversalAmount(left, 'EUR', eur(16n)))).toBe('exceeds-remaining');
      expect(codeOf(() => reversalAmount(left, 'EUR', money(1n, 'USD')))).toBe('currency-mismatch');
      expect(codeOf(() => reversalAmount({ ...left, remaining: 0n }, 'EUR', null))).toBe('exceeds-remaining');
    });
  });
});

describe('the settings of an account', () => {
  it.each([
    [{}, { name: 'Other' }, 'customer', null],
    [{}, { overdraftLimit: eur(1n) }, 'customer', 'not-allowed'],
    [{}, { maxBalance: null }, 'customer', 'not-allowed'],
    [{}, { frozen: false }, 'customer', 'not-allowed'],
    [{}, { frozen: true }, 'operator', null],
    [{ closedAt: now }, { name: 'Other' }, 'operator', 'account-closed'],
    [{}, { overdraftLimit: money(1n, 'USD') }, 'operator', 'currency-mismatch'],
    [{}, { maxBalance: money(1n, 'USD') }, 'operator', 'currency-mismatch'],
    [{ balance: -5n, overdraftLimit: 5n }, { overdraftLimit: eur(4n) }, 'operator', 'insufficient-funds'],
    [{ balance: -5n, overdraftLimit: 9n }, { overdraftLimit: eur(5n) }, 'operator', null],
    [{ balance: 5n, pendingIn: 5n }, { maxBalance: eur(4n) }, 'operator', 'balance-too-large'],
    [{ balance: 5n, pendingIn: 5n }, { maxBalance: eur(5n) }, 'operator', null],
    // A refund has gone beyond the limit: what leaves the limit alone may be changed.
    [{ balance: 5n, maxBalance: 4n }, { frozen: true }, 'operator', null],
    [{ balance: 5n, maxBalance: 4n }, { maxBalance: eur(3n) }, 'operator', 'balance-too-large'],
    [{ userId: 'somebody' }, { overdraftLimit: eur(1n) }, 'operator', 'own-account'],
    [{ userId: 'somebody' }, { maxBalance: null }, 'operator', 'own-account'],
    [{ userId: 'somebody' }, { frozen: false }, 'operator', 'own-account'],
    [{ userId: 'somebody' }, { name: 'Other' }, 'operator', null],
  ] as const)('%# of %o are changed to %o by a %s: %s', (state, patch, role, code) => {
    expect(codeOf(() => changeSettings(account('a', 0n, state), patch, { userId: 'somebody', role }, now))).toBe(code);
  });

  it('keep what is not mentioned, and the first moment of freezing', () => {
    const frozen = account('a', 0n, { frozenAt: before, maxBalance: 9n, overdraftLimit: 4n });
    expect(changeSettings(frozen, { frozen: true }, operator, now)).toMatchObject({
      frozenAt: before,
      maxBalance: 9n,
      overdraftLimit: 4n,
    });
    expect(changeSettings(frozen, { frozen: false, maxBalance: null }, operator, now)).toMatchObject({
      frozenAt: null,
      maxBalance: null,
    });
  });

  it.each([
    [{}, null],
    [{ closedAt: now }, 'account-closed'],
    [{ frozenAt: now }, 'account-frozen'],
    [{ pendingIn: 1n }, 'pending-transfers'],
    [{ pendingOut: 1n, overdraftLimit: 1n }, 'pending-transfers'],
    [{ balance: 1n }, 'balance-not-zero'],
    [{ balance: -1n, overdraftLimit: 1n }, 'balance-not-zero'],
  ] as const)('%# let it be closed as %o: %s', (state, code) => {
    expect(codeOf(() => refuseClosing(account('a', 0n, state)))).toBe(code);
  });

  it('and what is pending make what is shown, without what has expired', () => {
    const state = account('a', 100n, { pendingOut: 60n, pendingIn: 30n, overdraftLimit: 5n });
    expect(availableOf(state)).toBe(45n);
    expect(showAccount(state)).toMatchObject({ balance: eur(100n), pending: eur(70n), available: eur(45n) });
    expect(showAccount(state, { out: 60n, in: 10n })).toMatchObject({ pending: eur(120n), available: eur(105n) });
  });
});
