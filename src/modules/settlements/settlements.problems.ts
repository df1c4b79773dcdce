import { defineProblems } from '../../kernel/problem.ts';

export const settlementProblems = defineProblems({
  alreadyPosted: {
    kind: 'conflict',
    code: 'already-posted',
    title: 'Posted already',
    meaning: 'The pending transfer has been posted. Read it, or reverse it.',
  },
  alreadyVoided: {
    kind: 'conflict',
    code: 'already-voided',
    title: 'Voided already',
    meaning: 'The pending transfer has been voided. Make a new one.',
  },
  expired: {
    kind: 'conflict',
    code: 'expired',
    title: 'Expired',
    meaning: 'The pending transfer was not posted in time. Make a new one.',
  },
  exceedsPending: {
    kind: 'invalid',
    code: 'exceeds-pending',
    title: 'More than is pending',
    meaning: 'A posting cannot be larger than its transfer. Post less.',
  },
});
