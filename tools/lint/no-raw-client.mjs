import { isInBoundary } from './boundary.mjs';
import { bare, lastName, memberName, variableOf } from './syntax.mjs';
import { typesOf } from './types.mjs';

// Type and file of what reaches the database beside the transaction.
const raw = [
  [/^DatabaseClients$/, /\/database\/database-clients\.ts$/],
  [/^DatabaseClient$/, /\/database\/database-client\.ts$/],
  [/^PrismaClient$/, /\/(generated|@prisma\/client)\//],
  [/^(Pool|PoolClient|Client|ClientBase)$/, /\/node_modules\/(@types\/)?pg(-pool)?\//],
];
const constructors = new Set(['PrismaClient', 'Pool', 'Client']);
const packages = /^(pg|@prisma\/client)$|\/generated\/|\/database\/database-client\.ts$/;

export default {
  meta: {
    type: 'problem',
    docs: {
      description:
        'Only the injected client is the transaction: what another one writes is neither rolled back with it nor seen by it.',
    },
    messages: {
      raw: '{{what}} is not the client of the running transaction. Use the one that @InjectDatabase() gives to a repository.',
    },
    schema: [],
  },
  create(context) {
    const isModule = /\/src\/modules\//.test(context.filename.replaceAll('\\', '/'));
    // The question of the types comes last: it costs most.
    const check = (node, question) => {
      if (!isModule && !isInBoundary(node, context)) return;
      const what = question(bare(node), context);
      if (what !== null) context.report({ node, messageId: 'raw', data: { what } });
    };
    const checkGiven = ({ arguments: given }) => {
      for (const one of given) check(one, firstRaw);
    };
    return {
      MemberExpression: ({ object }) => check(object, firstRaw),
      CallExpression: checkGiven,
      NewExpression(node) {
        check(node, constructed);
        checkGiven(node);
      },
      VariableDeclarator({ id, init }) {
        if (init && id.type === 'ObjectPattern') check(init, firstRaw);
      },
    };
  },
};

/** The name of a raw client that a variable or a member holds; null when it is none, or when it was taken from a raw one: that is reported there. */
function firstRaw(node, context) {
  if (node.type !== 'Identifier' && node.type !== 'MemberExpression') return null;
  for (let inner = node; inner.type === 'MemberExpression';) {
    inner = bare(inner.object);
    if (rawName(inner, context) !== null) return null;
  }
  return rawName(node, context);
}

function rawName(node, context) {
  const types = typesOf(context);
  if (!types?.isKnown(node)) return namedRaw(node);
  // Its `client` has the type of a whole one, and is the transaction.
  if (node.type === 'MemberExpression' && types.ownersOf(node)?.includes('Transactions')) return null;
  const found = types
    .namesOf(node)
    .find(({ name, file }) => raw.some(([its, where]) => its.test(name) && where.test(file)));
  return found?.name ?? null;
}

// Where the type is not known: `databases.write`, `client.pool`.
function namedRaw(node) {
  if (lastName(node) === 'databases') return 'databases';
  return node.type === 'MemberExpression' && memberName(node) === 'pool' ? 'pool' : null;
}

/** `new PrismaClient()`, `new pg.Pool()`: by where the name is imported from. */
function constructed({ callee }, context) {
  const name = lastName(callee);
  const root = callee.type === 'MemberExpression' ? bare(callee.object) : callee;
  if (!constructors.has(name) || root.type !== 'Identifier') return null;
  const definition = variableOf(root, context)?.defs[0];
  if (definition?.type !== 'ImportBinding') return name === 'PrismaClient' ? name : null;
  return packages.test(definition.parent.source.value) ? name : null;
}
