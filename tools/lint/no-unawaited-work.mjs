import { isInBoundary } from './boundary.mjs';
import { isWaitedFor } from './keeping.mjs';
import { bare, calledName, receiverOf, variableOf } from './syntax.mjs';
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

// They call a function and forget what it returns.
const forgetful = new Set(['forEach', 'setTimeout', 'setInterval', 'setImmediate', 'queueMicrotask', 'nextTick']);
const collecting = new Set(['push', 'unshift', 'add', 'set']);

function dropsPromises(call, types) {
  const [given] = call.arguments ?? [];
  return given !== undefined && forgetful.has(calledName(call)) && types.returns(given, 'isPromise');
}

/** Follows the promise to where it is kept. What is given to another call that gives a promise is that call's to be looked at. */
function isDropped(call, context) {
  for (let inner = call, outer = call.parent; ; inner = outer, outer = outer.parent)
    switch (outer.type) {
      case 'ExpressionStatement':
        return true;
      case 'UnaryExpression':
        return outer.operator === 'void';
      case 'SequenceExpression':
        if (outer.expressions.at(-1) !== inner) return true;
        break;
      case 'ConditionalExpression':
      case 'LogicalExpression':
      case 'ArrayExpression':
      case 'ObjectExpression':
      case 'Property':
      case 'SpreadElement':
      case 'ChainExpression':
      case 'TSAsExpression':
      case 'TSNonNullExpression':
      case 'TSSatisfiesExpression':
        break;
      case 'VariableDeclarator':
        return !context.sourceCode.getDeclaredVariables(outer).some((variable) => isWaitedFor(variable));
      case 'AssignmentExpression':
        // Of `(kept ??= call())` the value may be used at once.
        if (!isVariableDropped(outer.left, context)) return false;
        break;
      case 'CallExpression':
        return isCollected(outer, inner) && isVariableDropped(receiverOf(outer), context);
      default:
        return false;
    }
}

const isCollected = (call, argument) =>
  call.callee !== argument && receiverOf(call) !== null && collecting.has(calledName(call));

// A field may be waited for elsewhere.
function isVariableDropped(node, context) {
  const variable = bare(node).type === 'Identifier' ? variableOf(bare(node), context) : null;
  return variable !== null && !isWaitedFor(variable);
}
