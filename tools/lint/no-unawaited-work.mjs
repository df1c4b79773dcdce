import { isInBoundary } from './boundary.mjs';
import { dropsPromises, isDropped } from './dropping.mjs';
import { typesOf } from './types.mjs';

export default {
  meta: {
    type: 'problem',
    docs: {
      description:
        'What nobody waits for runs on after the commit, outside its boundary, or not at all; and when it fails nothing is rolled back.',
    },
    messages: {
      unawaited:
        'Nobody waits for this, so it may outlive its boundary, and its failure rolls nothing back. Await it or return it; what is to happen afterwards belongs in afterCommit(…).',
    },
    schema: [],
  },
  create(context) {
    const types = typesOf(context);
    // Only a type tells that a call gives a promise.
    if (types === null) return {};
    const check = (call) => {
      if (!isInBoundary(call, context)) return;
      const isLost = types.holdsPromises(call) ? isDropped(call, context) : dropsPromises(call, types);
      if (isLost) context.report({ node: call, messageId: 'unawaited' });
    };
    return { CallExpression: check, TaggedTemplateExpression: check };
  },
};
