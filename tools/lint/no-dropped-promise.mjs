import { isInBoundary } from './boundary.mjs';
import { dropsPromises, isDropped } from './dropping.mjs';
import { bare, calledName } from './syntax.mjs';
import { typesOf } from './types.mjs';

export default {
  meta: {
    type: 'problem',
    docs: {
      description:
        'A promise that nobody waits for fails unseen, or is never begun: a call of Prisma and a request of supertest begin when they are awaited. Finds what no-floating-promises leaves: void, variables, lists, callbacks of forEach and timers, and what only has a then().',
    },
    messages: {
      dropped:
        'Nobody waits for this: it may never be done, and its failure is seen nowhere. Await it, return it, or say what becomes of its failure: .catch(…).',
    },
    schema: [{ type: 'object', properties: { mayVoid: { type: 'boolean' } }, additionalProperties: false }],
    defaultOptions: [{ mayVoid: false }],
  },
  create(context) {
    const types = typesOf(context);
    // Only a type tells that a call gives a promise.
    if (types === null) return {};
    const [options] = context.options;
    const check = (call) => {
      // There no-unawaited-work speaks, which takes no .catch for an answer.
      if (isInBoundary(call, context)) return;
      const isLost = types.holdsPromises(call)
        ? !isCaught(call) &&
          !isOf(call, types, answers) &&
          isDropped(call, context, isOf(call, types, lazy) ? {} : options)
        : dropsPromises(call, types);
      if (isLost) context.report({ node: call, messageId: 'dropped' });
    };
    return { CallExpression: check, TaggedTemplateExpression: check };
  },
};

const isCaught = (call) =>
  call.type === 'CallExpression' &&
  ((calledName(call) === 'catch' && call.arguments.length > 0) ||
    (calledName(call) === 'then' && call.arguments.length === 2));

// Fastify's reply has a then() as well, and nothing is begun by waiting for it.
const answers = ['FastifyReply'];
// What begins when it is awaited: with `void` nothing is done at all.
const lazy = ['PrismaPromise', 'Test', 'SuperAgentRequest'];

const isOf = (call, types, names) => types.namesOf(bare(call)).some(({ name }) => names.includes(name));
