import { defineProblems } from '../../kernel/problem.ts';

export const accountProblems = defineProblems({
  balanceNotZero: {
    kind: 'conflict',
    code: 'balance-not-zero',
    title: 'Balance not zero',
    meaning: 'The account still holds money, or owes it. Bring it to zero first.',
  },
  pendingTransfers: {
    kind: 'conflict',
    code: 'pending-transfers',
    title: 'Pending transfers',
    meaning:
      'Transfers from the account are pending, or too many to it. Post or void them first: POST /v1/transfers/void takes a list.',
  },
});
