const { existsSync, readdirSync, readFileSync } = require('node:fs');
const { join } = require('node:path');

/** The modules that a module's own Nest module imports: whom Nest lets in, the code may know, and nobody else. */
function importsOf(module) {
  const file = join('src', 'modules', module, `${module}.module.ts`);
  const text = existsSync(file) ? readFileSync(file, 'utf8') : '';
  return [...text.matchAll(/from '\.\.\/([^/']+)\/[^']+[.]module[.]ts'/g)].map(([, imported]) => imported);
}
const uses = Object.fromEntries(readdirSync(join('src', 'modules')).map((module) => [module, importsOf(module)]));

const anyModule = '^src/modules/([^/]+)/';
const repository = '[.]repository[.]ts$';
const service = '[.]service[.]ts$';
const test = '[.]test[.]ts$';
const boundaries = '^src/transactions/(transactional|transactions)[.]ts$';
const generated = '^src/database/generated/';
/** The files at the top of the folder, and what the database's errors say: the rooms below it are its own business. */
const doorsOfTransactions = '^src/transactions/([^/]+|wire/postgres-errors)[.]ts$';

/** A trespass is an error: there is no other severity. */
const rule = (name, comment, from, to) => ({ name, comment, severity: 'error', from, to });

const modulesKnowOnly = Object.entries(uses).map(([module, known]) =>
  rule(
    `modules-know-only-${[module, ...known].join('-')}`,
    `src/modules/${module} may know ${known.join(' and ') || 'no other module'}: those that ${module}.module.ts imports. Import the other's Nest module there first.`,
    { path: `^src/modules/${module}/`, pathNot: `/${module}[.]module[.]ts$` },
    { path: '^src/modules/', pathNot: `^src/modules/(${[module, ...known].join('|')})/` },
  ),
);

/** @type {import('dependency-cruiser').IConfiguration} */
module.exports = {
  forbidden: [
    ...modulesKnowOnly,
    rule(
      'a-module-has-two-doors',
      "Another module's services and its pure rules are its doors, with what they throw and tell. Its schema, controller and repository are its own business.",
      { path: anyModule },
      {
        path: '^src/modules/',
        pathNot: ['^src/modules/$1/', '[.](module|service|problems|events)[.]ts$', '/[a-z-]+[.]ts$'],
      },
    ),
    rule(
      'only-repositories-speak-to-the-database',
      'SQL, Prisma and row locks belong in a *.repository.ts.',
      { path: '^src/modules/', pathNot: repository },
      {
        path: [
          '^src/database/',
          '^src/transactions/(locks|lockable-tables|tables)[.]ts$',
          'node_modules/(pg|@prisma)/',
        ],
      },
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
      { path: '^src/transactions/', pathNot: doorsOfTransactions },
    ),
    rule(
      'controllers-meet-http-at-its-door',
      'Everything a route says of itself is exported by http/route.ts.',
      { path: '^src/modules/.*[.]controller[.]ts$' },
      { path: '^src/http/', pathNot: '^src/http/route[.]ts$' },
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
          '^src/(modules|http|operations|embedded)/',
          '^src/[^/]+[.]ts$',
          'node_modules/(fastify|@nestjs/(platform-|swagger))',
        ],
      },
    ),
    rule(
      'the-wire-knows-no-boundary',
      'Connections and statements lie below boundaries, and are tested without them.',
      { path: '^src/transactions/wire/' },
      {
        path: [
          '^src/transactions/(boundary|client|reads)/',
          '^src/transactions/(transactional|transactions|hooks|locks)[.]ts$',
        ],
      },
    ),
    rule(
      'database-knows-no-module',
      'The clients serve whatever tables there are.',
      { path: '^src/database/' },
      { path: ['^src/(modules|http|operations|embedded)/', '^src/[^/]+[.]ts$'] },
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
      'reconciliation-knows-no-module',
      'It offers the form of a check; the modules bring theirs.',
      { path: '^src/reconciliation/' },
      { path: '^src/modules/' },
    ),
    rule(
      'the-test-kit-is-for-tests',
      'It rolls back what the service has stored, and breaks its connections.',
      { path: '^(src|tools)/', pathNot: [test, '^src/testing/'] },
      { path: '^src/testing/' },
    ),
    rule(
      'generated-client-only-in-database-and-transactions',
      'Everything else receives the client narrowed to the tables it owns.',
      { path: '^src/', pathNot: '^src/(database|transactions|testing|retention)/' },
      { path: [generated, 'node_modules/@prisma/client/'] },
    ),
    rule(
      'the-embedded-server-is-left-alone',
      'It is a way to provide a database; the service must not know that it is there.',
      { path: '^src/', pathNot: '^src/(embedded/|(main|provision|serve)[.]ts$)' },
      { path: '^src/embedded/' },
    ),
    rule(
      'the-embedded-server-knows-no-module',
      'It is the same PostgreSQL whatever is stored in it; only the demo data beside it are of the modules.',
      { path: '^src/embedded/[^/]+$' },
      { path: ['^src/(modules|http|operations)/', '^src/embedded/demo/'] },
    ),
    rule(
      'rooms-are-named-after-things',
      'common, shared, utils and barrels collect what has no place; dto and entities come from "nest generate": npm run add-module -- wishlists writes a module that keeps the rules.',
      {},
      { path: ['/(common|shared|utils?|helpers|dto|entities|interfaces)/', '/index[.]ts$'], pathNot: 'node_modules/' },
    ),
    rule('no-circles', 'Also of types: two files that need each other are one.', {}, { circular: true }),
    rule(
      'nothing-imports-tests',
      'Tests are not part of the service.',
      { path: '^(src|tools)/' },
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
      { path: '^src/', pathNot: test },
      {
        dependencyTypes: ['npm-no-pkg', 'npm-unknown', 'npm-dev'],
        dependencyTypesNot: ['type-only'],
      },
    ),
  ],
  options: {
    tsPreCompilationDeps: true,
    tsConfig: { fileName: 'tsconfig.json' },
    // A module to be, whose files lie elsewhere when it is one.
    exclude: { path: '^tools/module-template/' },
    doNotFollow: { path: ['node_modules', generated] },
    enhancedResolveOptions: {
      conditionNames: ['import', 'require', 'node', 'default', 'types'],
      extensions: ['.ts', '.mts', '.js', '.mjs', '.json'],
    },
    cache: false,
  },
};
