import { defineProblems, notFoundProblem } from '../../kernel/problem.ts';

export const eventProblems = defineProblems({
  notFound: notFoundProblem('event'),
  consumerNotFound: {
    kind: 'invalid',
    code: 'consumer-not-found',
    title: 'No such consumer',
    meaning: 'No consumer of this name is told of events of this type.',
  },
  nothingToRedeliver: {
    kind: 'conflict',
    code: 'nothing-to-redeliver',
    title: 'Nothing to redeliver',
    meaning: 'Every consumer has done the event. Name the one that is to act on it once more.',
  },
});
