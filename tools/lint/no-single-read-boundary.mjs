import { isRun, saysOnly, transactionalCall } from './boundary.mjs';
import {
  bare,
  begunCall,
  calledName,
  constant,
  isFunction,
  lastName,
  nodesOutsideFunctions,
  receiverOf,
} from './syntax.mjs';
import { typesOf } from './types.mjs';

const reading = /^(find|list|count|get|exists|aggregate|groupBy)(?![a-z])/;
// `findOrCreate`, `getAndLock`, `findForUpdate`: more than a read.
const doingMore = /(Or(?!Throw)|And|Lock|ForUpdate)(?![a-z])/;
const loops = /^(For|ForIn|ForOf|While|DoWhile)Statement$/;

export default {
  meta: {
    type: 'suggestion',
    docs: {
      description:
        'A single statement sees one state by itself: a boundary around a plain read costs round trips, a connection and the replica, and gives nothing.',
    },
    messages: {
      single:
        'A boundary around a single read gives nothing that the read has not by itself. Take the boundary away, or say with isolation or readOnly what it is for.',
    },
    schema: [],
  },
  create(context) {
    const check = (call, work, node) => {
      // Any other option says what the boundary is for: a level, an access mode, a deadline, a demand.
      if (saysOnly(call, ['name', 'retry'], context) && isSingleRead(work, context))
        context.report({ node, messageId: 'single' });
    };
    return {
      'MethodDefinition > Decorator'(decorator) {
        const call = transactionalCall(decorator, context);
        if (call) check(call, decorator.parent.value, decorator);
      },
      CallExpression(call) {
        if (!isRun(call, context)) return;
        const work = constant(call.arguments[1], context);
        if (isFunction(work)) check(call, work, call);
      },
    };
  },
};

function isSingleRead({ body }, context) {
  const nodes = [...nodesOutsideFunctions(body, context)];
  if (nodes.some((node) => loops.test(node.type))) return false;
  // A function inside may do more, or do it more than once.
  const inner = nodes.filter(isFunction).flatMap(({ body: its }) => [...nodesOutsideFunctions(its, context)]);
  if (inner.some((node) => isFunction(node) || isWork(node, context))) return false;
  const [read, another] = nodes.filter((node) => isWork(node, context));
  return read !== undefined && another === undefined && isRead(read, context);
}

/** What takes time: awaited, or a call that gives a promise. Of `await call().then(…)` only the call counts. */
function isWork(node, context) {
  if (node.type === 'AwaitExpression') return !isCall(bare(node.argument));
  if (!isCall(node) || begunCall(node) !== node) return false;
  const types = typesOf(context);
  if (types?.isKnown(node)) return types.isPromise(node);
  const { parent } = node;
  return ['AwaitExpression', 'ReturnStatement', 'ArrowFunctionExpression'].includes(parent.type);
}

const isCall = (node) => node.type === 'CallExpression' || node.type === 'TaggedTemplateExpression';

/** A read of a repository or of Prisma. What a service reads may be more than one statement. */
function isRead(call, context) {
  const receiver = call.type === 'CallExpression' ? receiverOf(call) : null;
  const name = receiver && calledName(call);
  if (!name || !reading.test(name) || doingMore.test(name)) return false;
  const owners = typesOf(context)?.ownersOf(bare(call.callee)) ?? null;
  if (owners) return owners.some((owner) => /(Repository|Delegate)$/.test(owner));
  return receiver.type !== 'ThisExpression' && !/service$/i.test(lastName(receiver) ?? '');
}
