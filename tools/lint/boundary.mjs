// What a boundary is in the text: the body of a @Transactional() method, or the work given to transactions.run().
import { bare, calledName, constant, isFunction, lastName, receiverOf, variableOf } from './syntax.mjs';
import { typesOf } from './types.mjs';

const hooks = new Set(['afterCommit', 'afterRollback']);
const withoutTransaction = new Set(['not-supported', 'never']);
const excuses = new Set(['allowExternalWork']);
const rolesOf = new WeakMap();

/** Whether a node runs in a transaction that a boundary around it in the text began or joined. A hook runs after it. */
export function isInBoundary(node, context) {
  for (let outer = node.parent; outer && outer.type !== 'ClassBody'; outer = outer.parent) {
    const role = isFunction(outer) ? roleOf(outer, context) : null;
    if (role !== null) return role === 'inside';
  }
  return false;
}

/** Whether the call is `run` of the class Transactions; where the type is not known, of something called transactions. */
export function isRun(call, context) {
  if (call?.type !== 'CallExpression' || calledName(call) !== 'run' || !receiverOf(call)) return false;
  const owners = typesOf(context)?.ownersOf(bare(call.callee)) ?? null;
  return owners ? owners.includes('Transactions') : lastName(receiverOf(call)) === 'transactions';
}

/** Whether the call gives a reason for work outside the database. */
export const isExcuse = (call) => call?.type === 'CallExpression' && excuses.has(calledName(call));

/** The call in `@Transactional(…)` of ours, by whatever name it is imported; null for another decorator. */
export function transactionalCall({ expression }, context) {
  if (expression.type !== 'CallExpression') return null;
  const callee = bare(expression.callee);
  const definition = callee.type === 'Identifier' && variableOf(callee, context)?.defs[0];
  if (definition?.type !== 'ImportBinding') return calledName(expression) === 'Transactional' ? expression : null;
  const isOurs = /^\..*\btransactional(\.[jt]s)?$/.test(definition.parent.source.value);
  return isOurs && definition.node.imported?.name === 'Transactional' ? expression : null;
}

/**
 * The options of a boundary, by name; a value that cannot be read is undefined. Null when it is not even known which there are.
 * Read from the text first: the type of `retry: 0` is only `number`.
 */
export function optionsOf(node, context) {
  if (node === undefined) return {};
  const object = constant(node, context);
  if (object?.type !== 'ObjectExpression') return typesOf(context)?.literalsOf(bare(node)) ?? null;
  const options = {};
  for (const property of object.properties) {
    const part =
      property.type === 'SpreadElement' ? optionsOf(property.argument, context) : optionOf(property, context);
    if (part === null) return null;
    Object.assign(options, part);
  }
  return options;
}

/** Whether the call or decorator draws a boundary of the usual kind, `required`, with no other options than these. */
export function saysOnly(call, names, context) {
  const options = optionsOf(call.arguments[0], context);
  if (options === null) return false;
  const { propagation, ...others } = { propagation: 'required', ...options };
  return propagation === 'required' && Object.keys(others).every((name) => names.includes(name));
}

function optionOf({ key, computed, value }, context) {
  if (computed && key.type !== 'Literal') return null;
  const said = constant(value, context);
  return { [key.name ?? key.value]: said?.type === 'Literal' ? said.value : undefined };
}

/** Whether what a function does is `inside` or, by its own word, `outside`; null when that is up to what is around it. */
function roleOf(work, context) {
  if (!rolesOf.has(work)) rolesOf.set(work, findRole(work, context));
  return rolesOf.get(work);
}

function findRole(work, context) {
  const { parent } = work;
  if (parent.type === 'MethodDefinition') {
    const call = (parent.decorators ?? []).map((one) => transactionalCall(one, context)).find(Boolean);
    return call ? roleUnder(call, context) : null;
  }
  for (const { parent: call } of [work, ...namesOf(work, context)]) {
    if (call.type !== 'CallExpression') continue;
    if (hooks.has(calledName(call))) return 'outside';
    if (isRun(call, context)) return roleUnder(call, context);
  }
  return null;
}

const roleUnder = (boundary, context) =>
  withoutTransaction.has(optionsOf(boundary.arguments[0], context)?.propagation) ? 'outside' : 'inside';

// `const work = async () => { … }` and `function work() { … }`: wherever its name is used.
function namesOf(work, { sourceCode }) {
  const declaration = work.type === 'FunctionDeclaration' ? work : work.parent;
  if (declaration !== work && declaration.type !== 'VariableDeclarator') return [];
  const [variable] = sourceCode.getDeclaredVariables(declaration);
  return (variable?.references ?? []).map(({ identifier }) => identifier);
}
