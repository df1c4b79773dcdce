import { defineProblems } from '../kernel/problem.ts';

export const currencyProblems = defineProblems({
  notAccepted: {
    kind: 'invalid',
    code: 'currency-not-accepted',
    title: 'Currency not accepted',
    meaning: 'The shop opens no accounts and sets no prices in this currency. Use another.',
  },
});
