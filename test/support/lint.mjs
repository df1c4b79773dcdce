// Lints the texts on its input, for lint.ts. One program of types for all of them: to make one takes longer than to read a hundred texts.
import { basename, join, relative } from 'node:path';
import { text } from 'node:stream/consumers';
import { ESLint } from 'eslint';
import tseslint from 'typescript-eslint';
import ts from 'typescript';
import plugin from '../../tools/lint/plugin.mjs';

const { texts, files } = JSON.parse(await text(process.stdin));

// Each stands beside the file that it is like, whose folder says which rules hold; or in its place, where its own name says it.
const pathOf = ({ like, inPlace }, n) =>
  join(process.cwd(), inPlace ? like : join(like, '..', `text-${n}.${basename(like)}`));
const codes = new Map(texts.map((one, n) => [pathOf(one, n), one.code]));
if (codes.size < texts.length) throw new Error('Two texts stand in place of the same file.');

const config = ts.readConfigFile('tsconfig.json', ts.sys.readFile).config;
const { options } = ts.convertCompilerOptionsFromJson(config.compilerOptions, process.cwd());
const host = ts.createCompilerHost(options, true);
const real = { readFile: host.readFile, fileExists: host.fileExists };
host.readFile = (path) => codes.get(path) ?? real.readFile(path);
host.fileExists = (path) => codes.has(path) || real.fileExists(path);
const program = ts.createProgram([...codes.keys()], options, host);

// A text whose types are wrong would prove nothing. That a package is not installed (2307) is part of some.
const compiles = {
  create: ({ report, sourceCode: { ast, parserServices } }) => ({
    Program(node) {
      const file = parserServices.esTreeNodeToTSNodeMap.get(ast);
      for (const { code, messageText } of program.getSemanticDiagnostics(file))
        if (code !== 2307) report({ node, message: ts.flattenDiagnosticMessageText(messageText, ' ') });
    },
  }),
};
const typed = { parserOptions: { programs: [program], projectService: false } };
const whole = new ESLint({ overrideConfig: { files: ['**/*.ts', '**/*.mts'], languageOptions: typed } });
const asking = (rule) =>
  new ESLint({
    overrideConfigFile: true,
    overrideConfig: {
      files: ['**/*.ts'],
      languageOptions: { parser: tseslint.parser, ...typed },
      plugins: { transactions: plugin, test: { rules: { compiles } } },
      rules: { [rule]: 'error', 'test/compiles': 'error' },
    },
  });

const linters = new Map([[null, whole]]);
const told = [];
for (const [n, one] of texts.entries()) {
  const { rule = null, code } = one;
  if (!linters.has(rule)) linters.set(rule, asking(rule));
  const filePath = relative(process.cwd(), pathOf(one, n));
  const [{ messages }] = await linters.get(rule).lintText(code, { filePath });
  told.push(messages.map(({ ruleId, message }) => (ruleId === null || ruleId === 'test/compiles' ? message : ruleId)));
}
const rulesOf = {};
for (const file of files) rulesOf[file] = (await whole.calculateConfigForFile(file)).rules;
console.log(JSON.stringify({ told, rulesOf }));
