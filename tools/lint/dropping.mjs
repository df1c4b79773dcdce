// Whether a promise is kept until somebody waits for it.
import { isWaitedFor } from './keeping.mjs';
import { bare, calledName, receiverOf, variableOf } from './syntax.mjs';

// They call a function and forget what it returns.
const forgetful = new Set(['forEach', 'setTimeout', 'setInterval', 'setImmediate', 'queueMicrotask', 'nextTick']);
const collecting = new Set(['push', 'unshift', 'add', 'set']);

/** Whether the call is given a function that gives promises, and forgets them. */
export function dropsPromises(call, types) {
  const [given] = call.arguments ?? [];
  return given !== undefined && forgetful.has(calledName(call)) && types.returns(given, 'isPromise');
}

/** Follows the promise to where it is kept. What is given to another call that gives a promise is that call's to be looked at. */
export function isDropped(call, context, { mayVoid = false } = {}) {
  for (let inner = call, outer = call.parent; ; inner = outer, outer = outer.parent)
    switch (outer.type) {
      case 'ExpressionStatement':
        return true;
      case 'UnaryExpression':
        return outer.operator === 'void' && !mayVoid;
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
        return !context.sourceCode
          .getDeclaredVariables(outer)
          .some((variable) => isWaitedFor(variable) || (mayVoid && isMentioned(variable)));
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

const isMentioned = ({ references }) => references.some((reference) => reference.isRead());
