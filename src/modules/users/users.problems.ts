import { defineProblems, notFoundProblem, takenProblem } from '../../kernel/problem.ts';

export const userProblems = defineProblems({
  disabled: {
    kind: 'forbidden',
    code: 'user-disabled',
    title: 'User disabled',
    meaning: 'An operator has disabled the user. Ask one.',
  },
  wrongPassword: {
    kind: 'invalid',
    code: 'wrong-password',
    title: 'Wrong password',
    meaning: 'The present password is another one, or was changed meanwhile. Ask the person for it again.',
  },
  passwordNeeded: {
    kind: 'invalid',
    code: 'password-needed',
    title: 'Password needed',
    meaning:
      'What hands an account over needs the present password beside the access token. Send it as `currentPassword`.',
  },
  weakPassword: {
    kind: 'invalid',
    code: 'weak-password',
    title: 'Password too weak',
    meaning:
      'The password is one of those that are used most, or is made of the name, the address or the name of this service. Choose another.',
  },
  notFound: notFoundProblem('user'),
  emailTaken: takenProblem('email-taken', 'E-mail address taken'),
});
