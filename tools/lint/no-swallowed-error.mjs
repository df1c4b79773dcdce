import { isInBoundary } from './boundary.mjs';
import { isWaitedFor } from './keeping.mjs';
import { standsApart } from './nested.mjs';
import {
  bare,
  begunCall,
  calledName,
  constant,
  isFunction,
  isPromiseCall,
  nodesOutsideFunctions,
  receiverOf,
  variableOf,
} from './syntax.mjs';
import { alwaysThrows, givesError } from './throwing.mjs';
import { typesOf } from './types.mjs';

export default {
  meta: {
    type: 'problem',
    docs: {
      description:
        'A statement that failed has broken its transaction: whoever goes on after a catch finds every later statement refused and nothing stored.',
    },
    messages: {
      swallowed:
        "What fails here has broken the transaction, and this goes on as if it had not. Throw again, or put what may fail into run({ propagation: 'nested' }, …), where only the savepoint is lost.",
      unseen:
        'Nobody looks at what became of these calls, and one that failed has broken the transaction. Use Promise.all, or look at each result and throw.',
    },
    schema: [],
  },
  create(context) {
    const report = (node, messageId) => {
      if (isInBoundary(node, context)) context.report({ node, messageId });
    };
    return {
      TryStatement({ block, handler }) {
        if (!handler || !isInBoundary(handler, context)) return;
        if (canBreak(block, context) && !alwaysThrows(handler.body, context)) report(handler, 'swallowed');
      },
      CallExpression(call) {
        const handler = handlerOf(call);
        if (handler) {
          if (isInTransaction(receiverOf(call), context) && !handlerThrows(handler, context))
            report(handler, 'swallowed');
        } else if (isPromiseCall(call, ['allSettled']) && isUnseen(call, context) && !standsApart(call, context))
          report(call, 'unseen');
      },
    };
  },
};

/** Whether something in the block is waited for that runs in the transaction. */
function canBreak(block, context) {
  return [...nodesOutsideFunctions(block, context)].some((node) =>
    node.type === 'AwaitExpression'
      ? !standsApart(node.argument, context)
      : node.type === 'ForOfStatement' && node.await,
  );
}

/** What is given to `.catch(…)` or, second, to `.then(…)`. */
function handlerOf(call) {
  if (!receiverOf(call)) return undefined;
  const handler = bare({ catch: call.arguments[0], then: call.arguments[1] }[calledName(call)]);
  return handler?.name === 'undefined' || handler?.value === null ? undefined : handler;
}

/** Whether it is a promise of what runs in the transaction, and of nothing that somebody waits for elsewhere: there it fails. */
function isInTransaction(receiver, context) {
  const begun = begunCall(receiver);
  if (standsApart(begun, context)) return false;
  // Others have a `catch`, too: a zod schema, for one.
  if (!(typesOf(context)?.isPromise(receiver) ?? begun?.type === 'CallExpression')) return false;
  const variable = begun?.type === 'Identifier' ? variableOf(begun, context) : null;
  return variable === null || !isWaitedFor(variable, begun);
}

function handlerThrows(handler, context) {
  const known = constant(handler, context);
  if (isFunction(known))
    return known.body.type === 'BlockStatement' ? alwaysThrows(known.body, context) : givesError(known.body, context);
  const types = typesOf(context);
  return types === null || types.returns(handler, 'isNever') || types.returns(handler, 'isError');
}

/** Whether the results are thrown away, or kept in a variable that nobody reads. */
function isUnseen(call, context) {
  const { parent } = call;
  if (parent.type !== 'AwaitExpression') return false;
  const kept = parent.parent;
  if (kept.type === 'ExpressionStatement') return true;
  if (kept.type !== 'VariableDeclarator' || kept.id.type !== 'Identifier') return false;
  return !variableOf(kept.id, context)?.references.some((reference) => reference.isRead());
}
