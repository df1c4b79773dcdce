// Whether a catch lets nothing through: each way through it ends in a throw, or gives an error.
import { bare, isPromiseCall, nodesOutsideFunctions } from './syntax.mjs';
import { typesOf } from './types.mjs';

const jumps = new Set(['BreakStatement', 'ContinueStatement']);
const targets = /^(Switch|For|ForIn|ForOf|While|DoWhile|Labeled)Statement$/;

export const alwaysThrows = (block, context) => !canLeave(block, context) && ends(block, context);

/** Whether the value is an error, or never comes. */
export function givesError(value, context) {
  const expression = bare(value);
  if (isPromiseCall(expression, ['reject'])) return true;
  const types = typesOf(context);
  return types !== null && expression !== null && (types.isNever(expression) || types.isError(expression));
}

// By a return of something else than an error, or by a jump to outside.
function canLeave(block, context) {
  return [...nodesOutsideFunctions(block, context)].some((node) => {
    if (node.type === 'ReturnStatement') return !givesError(node.argument, context);
    return jumps.has(node.type) && leaves(node, block);
  });
}

function leaves(jump, block) {
  for (let outer = jump.parent; outer !== block; outer = outer.parent) if (targets.test(outer.type)) return false;
  return true;
}

function ends(statement, context) {
  switch (statement?.type) {
    case 'ThrowStatement':
    case 'ReturnStatement':
      return true;
    case 'BlockStatement':
      return statement.body.some((one) => ends(one, context));
    case 'IfStatement':
      return ends(statement.consequent, context) && ends(statement.alternate, context);
    case 'TryStatement':
      return (
        ends(statement.finalizer, context) ||
        (ends(statement.block, context) && (statement.handler === null || ends(statement.handler.body, context)))
      );
    case 'SwitchStatement':
      return endsSwitch(statement, context);
    case 'ExpressionStatement':
      return typesOf(context)?.isNever(statement.expression) ?? false;
    default:
      return false;
  }
}

function endsSwitch({ cases }, context) {
  const filled = cases.filter(({ consequent }) => consequent.length > 0);
  return (
    cases.some(({ test }) => test === null) &&
    filled.every(({ consequent }) => consequent.some((one) => ends(one, context)))
  );
}
