// Questions about the text alone that several rules ask.

const wrappings = new Set([
  'TSAsExpression',
  'TSSatisfiesExpression',
  'TSNonNullExpression',
  'TSTypeAssertion',
  'ChainExpression',
]);
const functions = new Set(['ArrowFunctionExpression', 'FunctionExpression', 'FunctionDeclaration']);
const continuations = new Set(['then', 'catch', 'finally']);

export const isFunction = (node) => functions.has(node?.type);

/** The expression without what means nothing when it runs: `x as T`, `x!`, the end of `a?.b`. */
export function bare(node) {
  let inner = node;
  while (wrappings.has(inner?.type)) inner = inner.expression;
  return inner;
}

/** The name of a property that stands in the text; null for `a[b]`. */
export function memberName(member) {
  if (!member.computed) return member.property.name;
  return member.property.type === 'Literal' ? String(member.property.value) : null;
}

/** `x` of `x`, of `this.x` and of `a.b.x`. */
export function lastName(node) {
  const inner = bare(node);
  if (inner?.type === 'Identifier') return inner.name;
  return inner?.type === 'MemberExpression' ? memberName(inner) : null;
}

export const calledName = (call) => lastName(call.callee);

/** What a method is called on; null for a plain function. */
export function receiverOf(call) {
  const callee = bare(call.callee);
  return callee?.type === 'MemberExpression' ? bare(callee.object) : null;
}

/** Whether it is `Promise.all(…)` or another of these names. */
export const isPromiseCall = (node, names) =>
  node?.type === 'CallExpression' && receiverOf(node)?.name === 'Promise' && names.includes(calledName(node));

/** The call at the beginning of `await call().then(…).finally(…)`, else the expression itself. */
export function begunCall(node) {
  let inner = bare(node);
  for (;;) {
    if (inner?.type === 'AwaitExpression') inner = bare(inner.argument);
    else if (inner?.type === 'CallExpression' && receiverOf(inner) && continuations.has(calledName(inner)))
      inner = receiverOf(inner);
    else return inner;
  }
}

/** The variable that an identifier means here; null for a global one. */
export function variableOf(identifier, { sourceCode }) {
  for (let scope = sourceCode.getScope(identifier); scope; scope = scope.upper) {
    const variable = scope.set.get(identifier.name);
    if (variable) return variable.defs.length > 0 ? variable : null;
  }
  return null;
}

/** What a name stands for, when it is a `const` of this file or a function; else the expression itself. */
export function constant(node, context) {
  const inner = bare(node);
  if (inner?.type !== 'Identifier') return inner;
  const [definition, another] = variableOf(inner, context)?.defs ?? [];
  if (another) return inner;
  if (definition?.type === 'FunctionName') return definition.node;
  const isConst = definition?.type === 'Variable' && definition.parent.kind === 'const';
  const { id, init } = isConst ? definition.node : {};
  // `const a = { ...a }` would go round in a circle.
  const isWithin = init && inner.range[0] >= init.range[0] && inner.range[1] <= init.range[1];
  return init && id.type === 'Identifier' && !isWithin ? bare(init) : inner;
}

/** The node and all below it. A node for which `isClosed` holds is given, but not what it contains. */
export function* nodesOf(node, { sourceCode }, isClosed = () => false) {
  yield node;
  if (isClosed(node)) return;
  for (const key of sourceCode.visitorKeys[node.type] ?? [])
    for (const child of [node[key]].flat()) if (child) yield* nodesOf(child, { sourceCode }, isClosed);
}

/** What runs when the node runs: its functions are given, but not what is in them. */
export const nodesOutsideFunctions = (node, context) => nodesOf(node, context, isFunction);
