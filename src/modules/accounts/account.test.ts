import { money } from '../../kernel/money.ts';
import { type AccountState, refuseMovement } from './account.ts';

const account = (id: string, balance: bigint, changes: Partial<AccountState> = {}): AccountState => ({
  id,
  house: null,
  currency: 'EUR',
  balance,
  ...changes,
});

describe('a movement of money', () => {
  it.each([
    ['of all that is there is allowed', account('a', 100n), account('b', 0n), 100n, null],
    ['of more than is there is refused', account('a', 99n), account('b', 0n), 100n, 'insufficient-funds'],
    ['to the account itself is refused', account('a', 100n), account('a', 100n), 100n, 'same-account'],
    [
      'from another currency is refused',
      account('a', 100n, { currency: 'USD' }),
      account('b', 0n),
      1n,
      'currency-mismatch',
    ],
    [
      'to another currency is refused',
      account('a', 100n),
      account('b', 0n, { currency: 'USD' }),
      1n,
      'currency-mismatch',
    ],
    ['from cash may go below zero', account('a', 0n, { house: 'cash' }), account('b', 0n), 100n, null],
    [
      'that the receiver cannot hold is refused',
      account('a', 2n),
      account('b', 9007199254740990n),
      2n,
      'balance-too-large',
    ],
    [
      'that cash cannot count is refused',
      account('a', -9007199254740990n, { house: 'cash' }),
      account('b', 0n),
      2n,
      'balance-too-large',
    ],
    ['from sales may not', account('a', 0n, { house: 'sales' }), account('b', 0n), 100n, 'insufficient-funds'],
  ])('%s', (_, from, to, amount, code) => {
    expect(refuseMovement(from, to, money(amount, 'EUR'))?.code ?? null).toBe(code);
  });
});
