// Which calls begin a boundary of their own, and what is begun by Promise.all() and its kin.
import { isExcuse, isRun, optionsOf } from './boundary.mjs';
import { bare, begunCall, calledName, constant, isFunction, isPromiseCall, nodesOf } from './syntax.mjs';
import { typesOf } from './types.mjs';

/** A statement that fails in one of these leaves the transaction around it unharmed. */
const apart = new Set(['nested', 'requires-new', 'not-supported']);
const combinators = ['all', 'allSettled', 'race', 'any'];
// Where each takes the function that is called for every element.
const mappings = { map: 0, flatMap: 0, from: 1 };

export const isCombinator = (node) => isPromiseCall(node, combinators);

/** With which propagation a call begins a boundary; null for a call that begins none, undefined where it cannot be read. */
function propagationOf(call, context) {
  if (call?.type !== 'CallExpression') return null;
  const types = typesOf(context);
  if (!isRun(call, context)) return types && types.propagationOf(bare(call.callee));
  const options = optionsOf(call.arguments[0], context);
  return options && !('propagation' in options) ? 'required' : options?.propagation;
}

/** Whether what is begun here can fail without breaking the transaction around it. */
export function standsApart(node, context) {
  // A promise may have been begun before, and have a name.
  const call = begunCall(constant(begunCall(node), context));
  if (call?.type !== 'CallExpression') return false;
  if (isExcuse(call)) return true;
  // Where the propagation cannot be read it may be one of these.
  const propagation = propagationOf(call, context);
  if (propagation === undefined || apart.has(propagation)) return true;
  if (!isCombinator(call)) return false;
  const begun = begunBy(call, context);
  return begun.length > 0 && begun.every(({ node: one }) => standsApart(returnedBy(one), context));
}

/** How many nested boundaries a combinator begins; those of a `map` count as two. */
export function countNested(combinator, context) {
  const nested = begunBy(combinator, context).filter(({ node }) => beginsNested(node, context));
  return nested.reduce((count, { isMany }) => count + (isMany ? 2 : 1), 0);
}

// The elements of the list that a combinator is given, and the function of a `map` once for all that it begins.
function begunBy({ arguments: [list] }, context) {
  const begun = constant(list, context);
  if (begun?.type === 'ArrayExpression')
    return begun.elements.filter(Boolean).flatMap((element) => {
      if (element.type !== 'SpreadElement') return [{ node: constant(element, context), isMany: false }];
      return begunBy({ arguments: [element.argument] }, context);
    });
  const mapped = begun?.type === 'CallExpression' ? begun.arguments[mappings[calledName(begun)]] : undefined;
  return mapped ? [{ node: constant(mapped, context), isMany: true }] : [];
}

function beginsNested(node, context) {
  if (node.type === 'MemberExpression' || node.type === 'Identifier')
    return typesOf(context)?.propagationOf(node) === 'nested';
  return contains(node, context, isFunction(node));
}

// What is awaited on the way to the list is over before the next element begins. Within requires-new a savepoint has no neighbour.
function contains(node, context, isLater) {
  if (node.type === 'AwaitExpression' && !isLater) return false;
  const propagation = propagationOf(node, context);
  if (propagation === 'nested') return true;
  if (propagation === 'requires-new') return false;
  const [, ...children] = nodesOf(node, context, (one) => one !== node);
  return children.some((child) => contains(child, context, isLater || isFunction(child)));
}

// `(one) => call(one)` stands for its call.
function returnedBy(node) {
  if (!isFunction(node)) return node;
  if (node.body.type !== 'BlockStatement') return node.body;
  const [statement, another] = node.body.body;
  return statement?.type === 'ReturnStatement' && !another ? statement.argument : null;
}
