import { defineProblems } from '../../kernel/problem.ts';

export const accessProblems = defineProblems({
  ownAccess: {
    kind: 'conflict',
    code: 'own-access',
    title: 'Own access',
    meaning: 'Nobody changes their own role, or disables themselves. Ask another operator.',
  },
});
