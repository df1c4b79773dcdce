import { isInBoundary } from './boundary.mjs';
import { countNested, isCombinator } from './nested.mjs';

export default {
  meta: {
    type: 'problem',
    docs: {
      description:
        'Savepoints of one transaction end in the opposite order of their beginning: two at a time roll back what the other one did.',
    },
    messages: {
      parallel:
        'Nested boundaries share one connection and must run one after the other. Await each in a loop, or give each its own transaction with requires-new.',
    },
    schema: [],
  },
  create: (context) => ({
    CallExpression(call) {
      if (!isCombinator(call) || !isInBoundary(call, context)) return;
      if (countNested(call, context) > 1) context.report({ node: call, messageId: 'parallel' });
    },
  }),
};
