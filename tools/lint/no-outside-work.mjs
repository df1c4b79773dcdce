import { isExcuse, isInBoundary } from './boundary.mjs';
import { bare, calledName, isFunction, lastName, receiverOf, variableOf } from './syntax.mjs';
import { typesOf } from './types.mjs';

const builtins = new Set([
  ...['http', 'https', 'http2', 'net', 'tls', 'dgram', 'dns', 'dns/promises', 'child_process', 'worker_threads'],
  ...['fs', 'fs/promises', 'timers/promises'],
]);
const clients = new Set([
  ...['axios', '@nestjs/axios', 'got', 'undici', 'nodemailer', 'ky', 'superagent', 'stripe'],
  // Hashing a password takes as long as a request.
  ...['@node-rs/argon2', '@node-rs/bcrypt', 'argon2', 'bcrypt', 'bcryptjs'],
]);
/** They only look at a text. */
const harmless = new Set(['isIP', 'isIPv4', 'isIPv6']);
const globalCalls = new Set(['fetch', 'WebSocket', 'EventSource']);

export default {
  meta: {
    type: 'problem',
    docs: {
      description:
        'A boundary holds a connection and its locks while it waits, and what was done outside the database cannot be rolled back.',
    },
    messages: {
      outside:
        "{{what}} is work outside the database: it holds the transaction open, and a rollback does not undo it. Do it before or after the boundary, for instance in afterCommit(…), or say in allowExternalWork('reason', …) why not.",
      waiting:
        'Waiting in a boundary keeps its connection and its locks from everybody else. Wait before it or after it.',
    },
    schema: [],
  },
  create(context) {
    const check = (call) => {
      if (!isInBoundary(call, context)) return;
      const what = outsideWork(call, context);
      if (what === null || isExcused(call)) return;
      context.report({ node: call, messageId: what === 'timers' ? 'waiting' : 'outside', data: { what } });
    };
    return { CallExpression: check, NewExpression: check };
  },
};

/** What a call goes out to: the name of a module or of a global; null when it stays inside. */
function outsideWork(call, context) {
  const callee = bare(call.callee);
  const { root, isAfterCall } = rootOf(callee);
  // `client().send()`: the first call is reported already.
  if (isAfterCall && isOutside(root, context)) return null;
  if (root.type === 'Identifier' && variableOf(root, context) === null) return globalWork(call, callee);
  const module = importedFrom(root, callee, context) ?? declaredIn(receiverOf(call), context);
  return module === 'timers/promises' ? 'timers' : module;
}

// What stands leftmost in `a.b().c()`.
function rootOf(callee) {
  let root = callee;
  let isAfterCall = false;
  for (;;) {
    if (root.type === 'MemberExpression') root = bare(root.object);
    else if (root.type === 'CallExpression' || root.type === 'NewExpression') {
      isAfterCall = true;
      root = bare(root.callee);
    } else return { root, isAfterCall };
  }
}

const isOutside = (root, context) =>
  root.type === 'Identifier' && (importedFrom(root, root, context) !== null || globalCalls.has(root.name));

function globalWork(call, callee) {
  const name = callee.type === 'MemberExpression' ? calledName(call) : callee.name;
  if (callee.type === 'MemberExpression' && callee.object.name !== 'globalThis') return null;
  if (globalCalls.has(name)) return name;
  return name === 'setTimeout' && isInExecutor(call) ? 'timers' : null;
}

// `await new Promise((resolve) => setTimeout(resolve, 100))`: a timer by itself is no waiting.
function isInExecutor(call) {
  let outer = call.parent;
  while (!isFunction(outer)) outer = outer.parent;
  return outer.parent.type === 'NewExpression' && outer.parent.callee.name === 'Promise';
}

function importedFrom(root, callee, context) {
  if (root.type !== 'Identifier') return null;
  const definition = variableOf(root, context)?.defs[0];
  if (definition?.type === 'Variable') return outsideModule(loadedModule(definition.node.init));
  if (definition?.type !== 'ImportBinding') return null;
  const name = callee === root ? definition.node.imported?.name : lastName(callee);
  return harmless.has(name) ? null : outsideModule(definition.parent.source.value);
}

// `await import('node:fs')` and `require('node:fs')`.
function loadedModule(init) {
  const loading = init?.type === 'AwaitExpression' ? init.argument : init;
  if (loading?.type === 'ImportExpression') return loading.source.value;
  return loading?.type === 'CallExpression' && loading.callee.name === 'require' ? loading.arguments[0]?.value : null;
}

function outsideModule(specifier) {
  if (typeof specifier !== 'string') return null;
  const name = specifier.replace(/^node:/, '');
  const [root] = /^(@[^/]+\/)?[^/]+/.exec(name) ?? [];
  if (builtins.has(name)) return name;
  return clients.has(root) || root?.startsWith('@aws-sdk/') ? root : null;
}

/** The module that a client, a socket or the like comes from which was handed in: `this.stripe`. */
function declaredIn(receiver, context) {
  for (const { file } of (receiver && typesOf(context)?.namesOf(receiver)) || []) {
    const [, builtin] = /\/@types\/node\/(.+)\.d\.ts$/.exec(file) ?? [];
    const [, typed] = /.*\/node_modules\/(?:@types\/)?((?:@[^/]+\/)?[^/]+)\//.exec(file) ?? [];
    const module = builtin === undefined ? outsideModule(typed) : outsideModule(`node:${builtin}`);
    if (module) return module;
  }
  return null;
}

function isExcused(call) {
  for (let inner = call; inner.parent; inner = inner.parent)
    if (isExcuse(inner.parent) && inner.parent.callee !== inner) return true;
  return false;
}
