import { defineProblems } from '../../kernel/problem.ts';

export const passwordProblems = defineProblems({
  invalidResetToken: {
    kind: 'unauthorized',
    code: 'invalid-reset-token',
    title: 'Reset token not valid',
    meaning: 'The token is unknown, has expired, or was used or withdrawn. Have another one made.',
  },
});
