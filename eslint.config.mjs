import eslint from '@eslint/js';
import tseslint from 'typescript-eslint';
import transactions from './tools/lint/plugin.mjs';
import promises from './tools/lint/promises.mjs';

const typescript = ['**/*.ts', '**/*.mts'];
const tests = ['test/**', 'src/**/*.test.ts'];

const selectors = (message, ...list) => list.map((selector) => ({ selector, message }));

// A later block replaces the list of an earlier one, so each block names all that holds for its files.
const refused = {
  unsafeSql: selectors(
    'The text of a statement is never put together: use the $queryRaw or $executeRaw template.',
    'Identifier[name=/^\\$(query|execute)RawUnsafe$/]',
    'Literal[value=/^\\$(query|execute)RawUnsafe$/]',
  ),
  ownTransaction: selectors(
    'A transaction is drawn with @Transactional() or Transactions.run: this one would not be joined by what it calls.',
    'MemberExpression[property.name="$transaction"]',
    'MemberExpression[property.value="$transaction"]',
  ),
  ownLock: selectors(
    'Rows are locked by lockRows of src/transactions/locks.ts, which keeps one order for all.',
    'Literal[value=/\\bFOR\\s+(NO\\s+KEY\\s+UPDATE|UPDATE|SHARE|KEY\\s+SHARE)\\b/i]',
    'TemplateElement[value.raw=/\\bFOR\\s+(NO\\s+KEY\\s+UPDATE|UPDATE|SHARE|KEY\\s+SHARE)\\b/i]',
  ),
  ownClock: [
    ...selectors(
      "The time is the database's: statement_timestamp() in the statement, Clock of src/kernel/clock.ts where there is none. An interval is measured by performance.now().",
      'NewExpression[callee.name="Date"][arguments.length=0]',
      'CallExpression[callee.name="Date"]',
      'MemberExpression[object.name="Date"][property.name="now"]',
      'MemberExpression[object.name="Date"][property.value="now"]',
    ),
    ...selectors(
      'now() is when the transaction began, which may be long ago: statement_timestamp().',
      'TemplateElement[value.raw=/(\\bnow\\(\\)|\\bcurrent_timestamp\\b|\\blocaltimestamp\\b|\\btransaction_timestamp\\b)/i]',
    ),
  ],
  ownEnvironment: selectors(
    'The environment is read once, in src/config: inject the slice.',
    'MemberExpression[object.name="process"][property.name="env"]',
  ),
  unnamedError: selectors(
    'Throw a class of LoggableError, or MisuseError (src/kernel/loggable-error.ts): in production the log leaves out the message of any other.',
    'ThrowStatement > NewExpression[callee.name=/^(Error|TypeError|RangeError)$/]',
  ),
};
const refuse = (...kinds) => ({ 'no-restricted-syntax': ['error', ...kinds.flatMap((kind) => refused[kind])] });

const ambient = {
  group: ['nestjs-cls', '@nestjs-cls/*'],
  message: 'Only src/transactions keeps something ambient. @Transactional() is in src/transactions/transactional.ts.',
};
const unseen = {
  name: '@nestjs/common',
  importNames: ['Body', 'Query', 'Param', 'Headers', 'RawBody', 'UploadedFile', 'UploadedFiles'],
  message: "Nest's own lets a value through when no schema is given: use the one of src/http/input/input.ts.",
};
const wholeClient = {
  group: ['**/generated/**', '@prisma/client', '@prisma/client/**'],
  message:
    'A repository is given Tables<…> of src/transactions/tables.ts, which holds the tables it owns and no others.',
};

export default tseslint.config(
  {
    ignores: ['dist/', 'coverage/', '.holdfast/', 'src/database/generated/', 'test/client/', 'tools/module-template/'],
  },
  { linterOptions: { reportUnusedDisableDirectives: 'error' } },
  eslint.configs.recommended,
  {
    files: ['**/*.{js,mjs,cjs}'],
    languageOptions: {
      globals: Object.fromEntries(
        [
          'process',
          'console',
          'URL',
          'Buffer',
          'performance',
          'fetch',
          'setTimeout',
          'setInterval',
          'clearTimeout',
          'clearInterval',
          'AbortController',
          'AbortSignal',
          'structuredClone',
        ].map((name) => [name, 'readonly']),
      ),
    },
  },
  {
    files: ['**/*.cjs', 'jest.config.js'],
    languageOptions: { sourceType: 'commonjs', globals: { module: 'writable', require: 'readonly' } },
  },
  {
    files: typescript,
    extends: [tseslint.configs.strictTypeChecked, tseslint.configs.stylisticTypeChecked],
    languageOptions: { parserOptions: { projectService: true, tsconfigRootDir: import.meta.dirname } },
    plugins: { promises },
    rules: {
      // `void` is the word for what runs in the background, where a job of the core or of a tool does.
      'promises/no-dropped-promise': ['error', { mayVoid: true }],
      '@typescript-eslint/consistent-type-imports': ['error', { fixStyle: 'inline-type-imports' }],
      '@typescript-eslint/switch-exhaustiveness-check': ['error', { considerDefaultExhaustiveForUnions: true }],
      '@typescript-eslint/naming-convention': [
        'error',
        {
          selector: ['typeLike', 'function', 'variable', 'classMethod'],
          format: null,
          custom: { regex: '(Dto|DTO|Entity|Impl|Manager|Helper|Util)s?$', match: false },
        },
      ],
      '@typescript-eslint/restrict-template-expressions': ['error', { allowNumber: true }],
      // An interface that modules add to, by `declare module`, takes over what they have written down once.
      '@typescript-eslint/no-empty-object-type': ['error', { allowInterfaces: 'with-single-extends' }],
      // `||` where an empty text is to be replaced as well.
      '@typescript-eslint/prefer-nullish-coalescing': ['error', { ignorePrimitives: { string: true } }],
      '@typescript-eslint/no-extraneous-class': ['error', { allowWithDecorator: true }],
      '@typescript-eslint/no-unused-vars': [
        'error',
        { argsIgnorePattern: '^_', varsIgnorePattern: '^_', ignoreRestSiblings: true },
      ],
      // Blind to what a callback changes: it calls a check needless that is not.
      '@typescript-eslint/no-unnecessary-condition': 'off',
      // It wants the `!` that no-non-null-assertion forbids.
      '@typescript-eslint/non-nullable-type-assertion-style': 'off',
      // A literal of options is no instance, and is not meant to be one.
      '@typescript-eslint/no-unsafe-class-instance-assignment': 'off',
      // `query<Row>(sql)` is how pg itself is spelled.
      '@typescript-eslint/no-unnecessary-type-parameters': 'off',
      // No mistake is made by either choice.
      '@typescript-eslint/no-meaningless-void-operator': 'off',
      '@typescript-eslint/consistent-type-definitions': 'off',
      '@typescript-eslint/no-confusing-void-expression': 'off',
      '@typescript-eslint/dot-notation': 'off',
      '@typescript-eslint/require-await': 'off',
      ...refuse('unsafeSql'),
    },
  },
  {
    files: ['src/**/*.ts'],
    rules: {
      'no-console': 'error',
      'max-lines': ['error', { max: 250 }],
      'max-lines-per-function': ['error', { max: 30, skipBlankLines: true, skipComments: true }],
      'max-depth': ['error', 2],
      'max-nested-callbacks': ['error', 3],
      'max-params': ['error', 5],
      complexity: ['error', 10],
      'no-restricted-imports': ['error', { patterns: [ambient] }],
      ...refuse('unsafeSql', 'unnamedError', 'ownTransaction', 'ownLock', 'ownClock'),
    },
  },
  { files: ['src/**/*.ts'], ignores: tests, plugins: { transactions }, rules: transactions.all },
  {
    files: ['modules', 'http', 'phased', 'retention', 'reconciliation'].map((folder) => `src/${folder}/**/*.ts`),
    ignores: tests,
    rules: { 'promises/no-dropped-promise': ['error', { mayVoid: false }] },
  },
  // These run inside the boundary of whoever asks.
  {
    files: ['src/modules/ledger/ledger.service.ts', 'src/http/idempotency/idempotent-request.ts'],
    rules: { 'transactions/no-separate-writes': 'off' },
  },
  {
    files: ['src/transactions/**'],
    rules: { 'no-restricted-imports': 'off', ...refuse('unsafeSql', 'unnamedError', 'ownLock', 'ownClock') },
  },
  {
    files: ['src/transactions/locks.ts', 'src/retention/expired-rows.ts'],
    rules: refuse('unsafeSql', 'unnamedError', 'ownTransaction', 'ownClock'),
  },
  {
    files: ['src/modules/**'],
    rules: {
      'no-restricted-imports': ['error', { paths: [unseen], patterns: [ambient, wholeClient] }],
      ...refuse('unsafeSql', 'unnamedError', 'ownTransaction', 'ownLock', 'ownClock', 'ownEnvironment'),
    },
  },
  {
    files: ['tools/migration-database.mts'],
    rules: {
      // pg's overloads cannot be spelled once.
      '@typescript-eslint/no-explicit-any': 'off',
      '@typescript-eslint/no-unsafe-argument': 'off',
      '@typescript-eslint/no-unsafe-assignment': 'off',
      '@typescript-eslint/no-unsafe-call': 'off',
      '@typescript-eslint/no-unsafe-member-access': 'off',
      '@typescript-eslint/no-unsafe-return': 'off',
    },
  },
  {
    files: tests,
    rules: {
      'max-lines-per-function': 'off',
      'max-nested-callbacks': 'off',
      // A test may try what the service may not.
      'no-restricted-syntax': 'off',
      // The body of an answer is whatever came: expect() says what it must be.
      '@typescript-eslint/no-unsafe-argument': 'off',
      '@typescript-eslint/no-unsafe-assignment': 'off',
      '@typescript-eslint/no-unsafe-call': 'off',
      '@typescript-eslint/no-unsafe-member-access': 'off',
      '@typescript-eslint/no-unsafe-return': 'off',
      '@typescript-eslint/no-non-null-assertion': 'off',
      '@typescript-eslint/restrict-template-expressions': 'off',
      '@typescript-eslint/restrict-plus-operands': 'off',
      '@typescript-eslint/unbound-method': 'off',
    },
  },
);
