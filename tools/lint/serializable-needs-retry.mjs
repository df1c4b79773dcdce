import { isRun, optionsOf, transactionalCall } from './boundary.mjs';

export default {
  meta: {
    type: 'problem',
    docs: {
      description:
        'PostgreSQL ends a serializable transaction that met another one, and expects it to be run again: without a retry its caller is refused for nothing.',
    },
    messages: {
      noRetry:
        'A serializable boundary meets conflicts that only running it again resolves. Leave retry away, or give it a number above 0.',
    },
    schema: [],
  },
  create(context) {
    const check = (call) => {
      const { isolation, retry } = optionsOf(call.arguments[0], context) ?? {};
      if (isolation === 'serializable' && (retry === 0 || retry === false))
        context.report({ node: call.arguments[0], messageId: 'noRetry' });
    };
    return {
      Decorator(decorator) {
        const call = transactionalCall(decorator, context);
        if (call) check(call);
      },
      CallExpression(call) {
        if (isRun(call, context)) check(call);
      },
    };
  },
};
