// Whether somebody waits for the promise that a variable holds.
import { isFunction } from './syntax.mjs';

const keeping = new Set([
  'AwaitExpression',
  'ReturnStatement',
  'ThrowStatement',
  'YieldExpression',
  'VariableDeclarator',
  'ForOfStatement',
]);

/** By the text only, and kindly: it is enough that the name stands where a promise may be waited for, at another place than `except`. */
export const isWaitedFor = ({ references }, except = null) =>
  references.some(
    (reference) => reference.isRead() && reference.identifier !== except && isHandedOn(reference.identifier),
  );

/** Whether a name stands in what is awaited, returned, given to a call or put elsewhere: who wants to be sure looks there. */
function isHandedOn(identifier) {
  for (let inner = identifier, outer = identifier.parent; ; inner = outer, outer = outer.parent) {
    if (outer.type === 'CallExpression' || outer.type === 'NewExpression') {
      if (outer.callee !== inner) return true;
    } else if (outer.type === 'AssignmentExpression') return outer.right === inner;
    else if (isFunction(outer) || keeping.has(outer.type)) return true;
    else if (outer.type.endsWith('Statement') || (outer.type === 'UnaryExpression' && outer.operator === 'void'))
      return false;
  }
}
