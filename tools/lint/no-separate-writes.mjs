import { isExcuse, isRun, optionsOf, transactionalCall } from './boundary.mjs';
import { isCombinator } from './nested.mjs';
import { bare, calledName, constant, isFunction, lastName, receiverOf } from './syntax.mjs';
import { typesOf } from './types.mjs';

const excuses = new Set(['allowSeparateWrites', 'unitOfWork']);
const hooks = new Set(['afterCommit', 'afterRollback']);
/** These begin no transaction where none is running. */
const withoutTransaction = new Set(['supports', 'not-supported', 'never']);
const reading = /^(find|list|count|get|exists|has|is|can|may|read|load|search|sum|aggregate|groupBy)(?![a-z])/;
// `findOrCreate`, `getAndLock`: more than a read.
const doingMore = /(OrCreate|And[A-Z])/;
const repeating = new Set(['map', 'flatMap', 'from', 'forEach']);

export default {
  meta: {
    type: 'problem',
    docs: {
      description:
        'Two writes without a boundary are stored one by one: when the second fails, the first stays, and nobody takes it back.',
    },
    messages: {
      separate:
        "{{name}} stores several writes one by one: when a later one fails, those before it stay. Draw a boundary around them, @Transactional() or transactions.run, or say in allowSeparateWrites('reason', …) why not.",
    },
    schema: [],
  },
  create: (context) => ({
    'MethodDefinition[value.type="FunctionExpression"]'(method) {
      if (isReached(method, context) && new Writes(context).ofMethod(method) > 1)
        context.report({ node: method.key, messageId: 'separate', data: { name: lastName(method.key) ?? 'This' } });
    },
  }),
};

/** Whether it is called from elsewhere, without a boundary of its own. A repository leaves its boundary to the service. */
function isReached(method, context) {
  const owner = method.parent.parent.id?.name ?? '';
  const isPrivate = method.accessibility === 'private' || method.key.type === 'PrivateIdentifier';
  return !isPrivate && !owner.endsWith('Repository') && method.kind === 'method' && !isBounded(method, context);
}

function isBounded({ decorators = [] }, context) {
  const call = decorators.map((one) => transactionalCall(one, context)).find(Boolean);
  return Boolean(call) && !withoutTransaction.has(optionsOf(call.arguments[0], context)?.propagation);
}

/** How many writes are stored one by one on the way with most of them. `on` that ends the function, or goes `through`; null where there is no such way. */
const none = { through: 0, ended: null };
const most = (...counts) => counts.reduce((max, count) => (count === null ? max : Math.max(max ?? 0, count)), null);
const plus = (before, count) => (before === null || count === null ? null : before + count);
const then = (first, second) => ({
  through: plus(first.through, second.through),
  ended: most(first.ended, plus(first.through, second.ended)),
});
const either = (...ways) => ({
  through: most(...ways.map(({ through }) => through)),
  ended: most(...ways.map(({ ended }) => ended)),
});

class Writes {
  constructor(context) {
    this.context = context;
    this.open = new Set();
  }

  ofMethod(method) {
    return this.ofFunction(method.value);
  }

  ofFunction(work) {
    // What calls itself is counted once.
    if (!work?.body || this.open.has(work)) return 0;
    this.open.add(work);
    const ways = work.body.type === 'BlockStatement' ? this.statement(work.body) : this.passing(work.body);
    this.open.delete(work);
    return most(ways.through, ways.ended) ?? 0;
  }

  passing = (node) => ({ through: node ? this.expression(node) : 0, ended: null });

  statement(node) {
    switch (node?.type) {
      case undefined:
        return none;
      case 'BlockStatement':
        return node.body.reduce((before, one) => then(before, this.statement(one)), none);
      case 'ReturnStatement':
      case 'ThrowStatement':
        return { through: null, ended: node.argument ? this.expression(node.argument) : 0 };
      case 'IfStatement':
        return then(this.passing(node.test), either(this.statement(node.consequent), this.statement(node.alternate)));
      case 'SwitchStatement':
        return then(
          this.passing(node.discriminant),
          either(none, ...node.cases.map((one) => this.#all(one.consequent))),
        );
      case 'TryStatement': {
        const tried = either(this.statement(node.block), this.statement(node.handler?.body));
        return then(tried, this.statement(node.finalizer));
      }
      case 'LabeledStatement':
        return this.statement(node.body);
      case 'ForStatement':
      case 'ForInStatement':
      case 'ForOfStatement':
      case 'WhileStatement':
      case 'DoWhileStatement':
        return this.#loop(node);
      default:
        return this.passing(node);
    }
  }

  #all = (statements) => statements.reduce((before, one) => then(before, this.statement(one)), none);

  // What comes by once and again is at least two.
  #loop({ init, left, right, test, update, body }) {
    const once = [init, left, right].reduce((before, node) => then(before, this.passing(node)), none);
    const round = [test, update].reduce((before, node) => then(before, this.passing(node)), this.statement(body));
    const again = { through: round.through === null ? 0 : round.through * 2, ended: round.ended };
    return then(once, either(none, { ...again, ended: plus(again.through, again.ended) }));
  }

  expression(node) {
    if (isFunction(node)) return 0;
    if (node.type === 'ConditionalExpression')
      return this.expression(node.test) + Math.max(this.expression(node.consequent), this.expression(node.alternate));
    if (node.type === 'CallExpression') return this.#call(node);
    return this.#parts(node) + (this.#isRawWrite(node) ? 1 : 0);
  }

  #parts(node) {
    const keys = this.context.sourceCode.visitorKeys[node.type] ?? [];
    return keys
      .flatMap((key) => node[key])
      .filter(Boolean)
      .reduce((sum, child) => sum + this.expression(child), 0);
  }

  #call(call) {
    if (isExcuse(call) || excuses.has(calledName(call)) || hooks.has(calledName(call))) return 0;
    if (isRun(call, this.context)) return this.#boundary(call);
    const own = this.#ownMethod(call);
    const itself = own ? this.#ofOwn(own) : Number(this.#isWrite(call));
    return itself + this.#parts(call) + this.#callbacks(call);
  }

  #boundary(call) {
    const options = optionsOf(call.arguments[0], this.context);
    if (withoutTransaction.has(options?.propagation)) return this.ofFunction(constant(call.arguments[1], this.context));
    return options?.readOnly === true ? 0 : 1;
  }

  #ofOwn(method) {
    const { decorators = [] } = method;
    const boundary = decorators.map((one) => transactionalCall(one, this.context)).find(Boolean);
    if (!boundary || withoutTransaction.has(optionsOf(boundary.arguments[0], this.context)?.propagation))
      return this.ofMethod(method);
    return optionsOf(boundary.arguments[0], this.context)?.readOnly === true ? 0 : 1;
  }

  /** `this.reserve()`: the method of this class. */
  #ownMethod(call) {
    if (receiverOf(call)?.type !== 'ThisExpression') return null;
    let body = call;
    while (body && body.type !== 'ClassBody') body = body.parent;
    const name = calledName(call);
    return body?.body.find((one) => one.type === 'MethodDefinition' && lastName(one.key) === name) ?? null;
  }

  // Each element of a list is a write of its own.
  #callbacks(call) {
    const works = call.arguments.map((argument) => constant(argument, this.context)).filter(isFunction);
    const count = works.reduce((sum, work) => sum + this.ofFunction(work), 0);
    return repeating.has(calledName(call)) && !isCombinator(call) ? count * 2 : count;
  }

  #isRawWrite = (node) => node.type === 'TaggedTemplateExpression' && lastName(node.tag) === '$executeRaw';

  #isWrite(call) {
    const name = calledName(call);
    if (!name || !receiverOf(call)) return false;
    const types = typesOf(this.context);
    const owners = types?.ownersOf(bare(call.callee)) ?? null;
    if (owners === null) return /Repository$/i.test(lastName(receiverOf(call)) ?? '') && !isRead(name);
    if (owners.some((owner) => /(Repository|Delegate)$/.test(owner))) return !isRead(name) && types.isPromise(call);
    return types.isWritingBoundary(bare(call.callee));
  }
}

const isRead = (name) => reading.test(name) && !doingMore.test(name);
