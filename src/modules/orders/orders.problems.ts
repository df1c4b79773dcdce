import { defineProblems, notFoundProblem } from '../../kernel/problem.ts';

export const orderProblems = defineProblems({
  notFound: notFoundProblem('order'),
  priceChanged: {
    kind: 'conflict',
    code: 'price-changed',
    title: 'Price changed',
    meaning: 'The order costs something else than `expectedTotal`. Show the buyer the new price.',
  },
  notCancellable: {
    kind: 'conflict',
    code: 'not-cancellable',
    title: 'Order cannot be cancelled',
    meaning: 'The order is not in a state in which it can be cancelled. Read it again.',
  },
  totalTooLarge: {
    kind: 'invalid',
    code: 'total-too-large',
    title: 'Total too large',
    meaning: 'The order would cost more than 2^53 - 1 minor units. Order less.',
  },
});
