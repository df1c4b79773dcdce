import { isInBoundary, isRun, saysOnly } from './boundary.mjs';

export default {
  meta: {
    type: 'suggestion',
    docs: {
      description:
        'A boundary that joins the one around it begins nothing and protects nothing, and its reader believes that it does.',
    },
    messages: {
      joined:
        "This only joins the boundary around it. Call the work directly, or say what it is for with propagation 'nested' or 'requires-new'.",
    },
    schema: [],
  },
  create: (context) => ({
    CallExpression(call) {
      if (isRun(call, context) && isInBoundary(call, context) && saysOnly(call, ['name'], context))
        context.report({ node: call, messageId: 'joined' });
    },
  }),
};
