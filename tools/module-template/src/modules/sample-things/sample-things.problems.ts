import { defineProblems, notFoundProblem } from '../../kernel/problem.ts';

export const sampleThingProblems = defineProblems({
  notFound: notFoundProblem('sample thing'),
  archived: {
    kind: 'conflict',
    code: 'sample-thing-archived',
    title: 'Sample thing archived',
    meaning: 'An archived sample thing is not edited. Send `archived: false` with the edit.',
  },
});
