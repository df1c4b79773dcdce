import { defineProblems, notFoundProblem } from '../../kernel/problem.ts';

export const webhookProblems = defineProblems({
  endpointNotFound: notFoundProblem('webhook endpoint'),
  deliveryNotFound: notFoundProblem('webhook delivery'),
  endpointDisabled: {
    kind: 'conflict',
    code: 'webhook-endpoint-disabled',
    title: 'Webhook endpoint disabled',
    meaning: 'Nothing is sent to an endpoint that is disabled. Enable it first: PATCH with `enabled: true`.',
  },
  tooManyEndpoints: {
    kind: 'conflict',
    code: 'too-many-webhook-endpoints',
    title: 'Too many webhook endpoints',
    meaning: 'A user has at most ten webhook endpoints. Remove one first.',
  },
  urlRefused: {
    kind: 'invalid',
    code: 'webhook-url-refused',
    title: 'URL refused',
    meaning:
      'Webhooks go by https to public addresses, to port 443 or one from 1024 on. The URL has no user, password or fragment.',
  },
});
