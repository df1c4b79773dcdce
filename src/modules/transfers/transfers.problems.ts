import { defineProblems, notFoundProblem } from '../../kernel/problem.ts';

export const transferProblems = defineProblems({
  notFound: notFoundProblem('transfer'),
  exists: {
    kind: 'conflict',
    code: 'transfer-exists',
    title: 'Transfer exists',
    meaning: 'There is a transfer with this id already. Read it, or leave the id out.',
  },
  notPosted: {
    kind: 'conflict',
    code: 'not-posted',
    title: 'Not posted',
    meaning: 'Nothing of the transfer has been posted, so there is nothing to reverse. Void it.',
  },
  notReversible: {
    kind: 'conflict',
    code: 'not-reversible',
    title: 'Not reversible',
    meaning: 'Only transfers, and for operators deposits, are reversed here. Cancel the order of a payment instead.',
  },
  exceedsRemaining: {
    kind: 'invalid',
    code: 'exceeds-remaining',
    title: 'More than is left to reverse',
    meaning: 'The reversals of a transfer cannot be more than was posted of it. Reverse less.',
  },
  batchTooLarge: {
    kind: 'invalid',
    code: 'batch-too-large',
    title: 'Batch too large',
    meaning: 'A batch has at most 1,000 transfers. Send several.',
  },
});
