// Who may know whom. A new module gets a line here.
const uses = {
  users: [],
  accounts: [],
  catalog: [],
  orders: ['accounts', 'catalog'],
};

const anyModule = '^src/modules/([^/]+)/';
const repository = '[.]repository[.]ts$';
const service = '[.]service[.]ts$';
const test = '[.]test[.]ts$';
const boundaries = '^src/transactions/(transactional|transactions)[.]ts$';
const generated = '^src/database/generated/';

/** A trespass is an error: there is no other severity. */
const rule = (name, comment, from, to) => ({ name, comment, severity: 'error', from, to });

const modulesKnowOnly = Object.entries(uses).map(([module, known]) =>
  rule(
    `modules-know-only-${[module, ...known].join('-')}`,
    `src/modules/${module} may know ${known.join(' and ') || 'no other module'}. The table stands at the top of .dependency-cruiser.cjs.`,
    { path: `^src/modules/${module}/` },
    { path: '^src/modules/', pathNot: `^src/modules/(${[module, ...known].join('|')})/` },
  ),
);

/** @type {import('dependency-cruiser').IConfiguration} */
module.exports = {
  forbidden: [
    ...modulesKnowOnly,
    rule(
      'a-module-has-a-line-in-the-table',
      'A module that is not in the table could know everybody.',
      { path: '^src/modules/', pathNot: `^src/modules/(${Object.keys(uses).join('|')})/` },
      {},
    ),
    rule(
      'a-module-is-met-at-its-service',
      "Another module's schema, rules and repository are its own business: ask its service, import its module.",
      { path: anyModule },
      { path: '^src/modules/', pathNot: ['^src/modules/$1/', '[.](module|service)[.]ts$'] },
    ),
    rule(
      'only-repositories-speak-to-the-database',
      'SQL, Prisma and row locks belong in a *.repository.ts.',
      { path: '^src/modules/', pathNot: repository },
      { path: ['^src/database/', '^src/transactions/locks[.]ts$', 'node_modules/(pg|@prisma)/'] },
    ),
    rule(
      'transactions-begin-in-services',
      'Only a service knows what belongs together.',
      { path: '^src/modules/', pathNot: [service, test] },
      { path: boundaries },
    ),
    rule(
      'transactions-are-met-at-their-doors',
      'A module needs the decorator, Transactions, hooks, row locks, what is running, and the errors; how they work is hidden.',
      { path: '^src/modules/' },
      {
        path: '^src/transactions/',
        pathNot:
          '^src/transactions/(transactional|transactions|locks|hooks|current|errors|external-work|unit-of-work)[.]ts$',
      },
    ),
    rule(
      'controllers-ask-services',
      'A controller translates HTTP; what is read or written is decided one room further.',
      { path: '[.]controller[.]ts$' },
      { path: repository },
    ),
    rule(
      'repositories-ask-nobody',
      'A repository that asks a service or a controller turns the way of a request round.',
      { path: repository },
      { path: '[.](service|controller|module)[.]ts$' },
    ),
    rule(
      'the-kernel-knows-nobody',
      'Pure values: no packages, nothing of ours; what Node brings is allowed.',
      { path: '^src/kernel/', pathNot: test },
      { dependencyTypesNot: ['core'], pathNot: '^src/kernel/' },
    ),
    rule(
      'transactions-know-no-module-and-no-http',
      'The core serves every module and is tested without a server.',
      { path: '^src/transactions/' },
      {
        path: [
          '^src/(modules|http|operations)/',
          '^src/[^/]+[.]ts$',
          'node_modules/(fastify|@nestjs/(platform-|swagger))',
        ],
      },
    ),
    rule(
      'database-knows-no-module',
      'Clients, pools and the embedded server serve whatever tables there are.',
      { path: '^src/database/' },
      { path: ['^src/(modules|http|operations|transactions)/', '^src/[^/]+[.]ts$'] },
    ),
    rule(
      'http-knows-no-module',
      'What crosses the wire is the same for all modules.',
      { path: '^src/http/' },
      { path: ['^src/(modules|operations)/', '^src/[^/]+[.]ts$'] },
    ),
    rule(
      'operations-know-no-module',
      'Health, logs and shutdown are the same whatever is sold.',
      { path: '^src/operations/' },
      { path: '^src/modules/' },
    ),
    rule(
      'the-test-kit-is-for-tests',
      'It rolls back what the service has stored, and breaks its connections.',
      { path: '^(src|prisma|tools)/', pathNot: [test, '^src/transactions/(testing|planted-faults)[.]ts$'] },
      { path: '^src/transactions/(testing|planted-faults)[.]ts$' },
    ),
    rule(
      'generated-client-only-in-database-and-transactions',
      'Everything else receives the client narrowed to the tables it owns.',
      { path: '^src/', pathNot: '^src/(database|transactions)/' },
      { path: [generated, 'node_modules/@prisma/client/'] },
    ),
    rule(
      'the-embedded-server-is-left-alone',
      'It is a way to provide a database; the service must not know that it is there.',
      { path: '^src/', pathNot: '^src/(database/embedded/|(main|provision)[.]ts$)' },
      { path: '^src/database/embedded/' },
    ),
    rule(
      'rooms-are-named-after-things',
      'common, shared, utils and barrels collect what has no place.',
      {},
      { path: ['/(common|shared|utils?|helpers|dto|entities|interfaces)/', '/index[.]ts$'], pathNot: 'node_modules/' },
    ),
    rule('no-circles', 'Also of types: two files that need each other are one.', {}, { circular: true }),
    rule(
      'nothing-imports-tests',
      'Tests are not part of the service.',
      { path: '^(src|prisma|tools)/' },
      { path: ['^test/', '^bench/', test] },
    ),
    rule(
      'what-is-imported-exists',
      'A file that is not there, or a package that is not installed.',
      {},
      { couldNotResolve: true },
    ),
    rule(
      'packages-stand-in-package-json',
      'What the service needs is a dependency of its own, not one of somebody else, and not one for development.',
      { path: '^(src|prisma)/', pathNot: test },
      {
        dependencyTypes: ['npm-no-pkg', 'npm-unknown', 'npm-dev'],
        dependencyTypesNot: ['type-only'],
      },
    ),
  ],
  options: {
    tsPreCompilationDeps: true,
    tsConfig: { fileName: 'tsconfig.json' },
    doNotFollow: { path: ['node_modules', generated] },
    enhancedResolveOptions: {
      conditionNames: ['import', 'require', 'node', 'default', 'types'],
      extensions: ['.ts', '.mts', '.js', '.mjs', '.json'],
    },
    cache: false,
  },
};
