import { defineProblems, notFoundProblem } from '../../kernel/problem.ts';

export const ledgerProblems = defineProblems({
  accountNotFound: notFoundProblem('account'),
  accountFrozen: {
    kind: 'conflict',
    code: 'account-frozen',
    title: 'Account frozen',
    meaning: 'An operator has frozen the account: nothing moves until it is thawed.',
  },
  accountClosed: {
    kind: 'conflict',
    code: 'account-closed',
    title: 'Account closed',
    meaning: 'The account is closed, for good. Use another.',
  },
  cannotReceive: {
    kind: 'conflict',
    code: 'cannot-receive',
    title: 'Cannot receive this',
    meaning:
      'The account to which the money is to go does not receive it, or there is none. Why, is told only to whoever may see the account: ask them.',
  },
  ownAccount: {
    kind: 'forbidden',
    code: 'own-account',
    title: 'Own account',
    meaning:
      'What an operator does to accounts and their money is done for others, never for the own account. Ask another operator.',
  },
  conditionNotMet: {
    kind: 'conflict',
    code: 'condition-not-met',
    title: 'Condition not met',
    meaning: 'The account is not as `conditions` demands. `errors` points to the condition: read the account again.',
  },
  currencyMismatch: {
    kind: 'invalid',
    code: 'currency-mismatch',
    title: 'Currencies differ',
    meaning: 'All that takes part must be in one currency. Choose accounts or goods of one.',
  },
  insufficientFunds: {
    kind: 'invalid',
    code: 'insufficient-funds',
    title: 'Insufficient funds',
    meaning: 'The account does not hold that much. Pay in, or move less.',
  },
  balanceTooLarge: {
    kind: 'invalid',
    code: 'balance-too-large',
    title: 'Balance too large',
    meaning:
      'The account would hold more than its largest balance, or than 2^53 - 1 minor units. Move less, or use another account.',
  },
  sameAccount: {
    kind: 'invalid',
    code: 'same-account',
    title: 'Same account twice',
    meaning: 'Money cannot be moved from an account to itself. Name two.',
  },
  tooManyPending: {
    kind: 'conflict',
    code: 'too-many-pending',
    title: 'Too many pending transfers',
    meaning:
      'As many transfers are pending as may be at a time, of you, or between you and this account. Post or void some, or wait until they expire.',
  },
});
