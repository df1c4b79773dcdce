import { defineProblems, notFoundProblem } from '../../kernel/problem.ts';

export const sessionProblems = defineProblems({
  wrongCredentials: {
    kind: 'unauthorized',
    code: 'wrong-credentials',
    title: 'Wrong credentials',
    meaning: 'There is no such e-mail address, or the password is another. Which, is not told.',
  },
  invalidRefreshToken: {
    kind: 'unauthorized',
    code: 'invalid-refresh-token',
    title: 'Refresh token not valid',
    meaning:
      'The refresh token is unknown, has expired, or was used before, which ends its session unless it was just now. Log in again.',
  },
  notFound: notFoundProblem('session'),
});
