// npm run add-module -- <plural noun>: writes a module from tools/module-template, and all that is generated. Leaves nothing when it fails.
import { existsSync, globSync, mkdirSync, readdirSync, readFileSync, rmdirSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import prettier from 'prettier';
import { named, type Noun, readNoun, takenBy } from './module-names.mts';
import { build, checkTypes, type Outcome, ownTool } from './run.mts';

const template = join('tools', 'module-template');
const generated = ['openapi.json', join('docs', 'problems.md'), join('docs', 'statements.md')];
/** What each file held before: null where it was not there. */
const before = new Map<string, string | null>();
let isInterrupted = false;
// Ctrl-C reaches what we have started as well, which ends by it.
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => (isInterrupted = true));

const names = process.argv.slice(2);
try {
  const [name] = names;
  if (name === undefined || names.length > 1)
    throw new Error('Name the module by one plural noun: npm run add-module -- wishlists.');
  const noun = readNoun(name);
  const taken = takenBy(noun);
  if (taken !== null) throw new Error(`A module ${noun.plural} cannot be added: there is ${taken} already.`);
  await add(noun);
  say(noun);
} catch (error) {
  undo();
  process.stderr.write(`${isInterrupted ? 'Interrupted: nothing was added.' : (error as Error).message}\n`);
  process.exitCode = 1;
}

async function add(noun: Noun): Promise<void> {
  for (const [path, text] of await filesOf(noun)) put(path, text);
  put('src/app.module.ts', withModule(readFileSync('src/app.module.ts', 'utf8'), noun));
  put('prisma/users.prisma', withRelation(readFileSync('prisma/users.prisma', 'utf8'), noun));
  for (const file of generated) before.set(file, readFileSync(file, 'utf8'));
  await step('The client and the service', build);
  await step('The types', checkTypes);
  await step('openapi.json', () => ownTool('openapi.mts'));
  await step('docs/problems.md', () => ownTool('problems.mts'));
  await step('docs/statements.md', measureStatements);
}

/** The files of the module, by path. */
async function filesOf(noun: Noun): Promise<Map<string, string>> {
  const files = new Map<string, string>();
  const paths = globSync('**/*.{ts,sql,prisma}', { cwd: template });
  if (paths.length === 0) throw new Error(`There is no template in ${template}.`);
  for (const path of paths) {
    const target = named(path, noun).replace('TIMESTAMP', nextMigration());
    const text = named(readFileSync(join(template, path), 'utf8'), noun);
    const options = { ...(await prettier.resolveConfig(target)), filepath: target };
    files.set(target, path.endsWith('.ts') ? await prettier.format(text, options) : text);
  }
  return files;
}

/** A time for a migration: the present one, or later where a migration has a later one. */
function nextMigration(): string {
  const now = new Date().toISOString().replaceAll(/\D/g, '').slice(0, 14);
  const last = readdirSync(join('prisma', 'migrations'))
    .filter((name) => /^\d{14}_/.test(name))
    .sort()
    .at(-1);
  const least = String(BigInt(last?.slice(0, 14) ?? 0) + 1n);
  return now > least ? now : least;
}

function withModule(text: string, noun: Noun): string {
  const [module, place] = [named('SampleThingsModule', noun), '        ...more,\n'];
  const line = `import { ${module} } from './modules/${noun.plural}/${noun.plural}.module.ts';\n`;
  const later = text.match(/^import .* from '\.\/modules\/.*\n/gm)?.find((one) => pathIn(one) > pathIn(line));
  const next = later ?? 'import { logModule }';
  if (!text.includes(next) || !text.includes(place))
    throw new Error('src/app.module.ts lists its modules in another way.');
  return text.replace(next, () => line + next).replace(place, () => `        ${module},\n${place}`);
}

function pathIn(line: string): string {
  return /'(.*)'/.exec(line)?.[1] ?? '';
}

/** Prisma wants the other side of the relation to the owner. */
function withRelation(text: string, noun: Noun): string {
  const relations = /^model User \{\n[^}]*?\n\n((?: {2}\w+ +\w+(?:\[\]|\?)\n)+)/m.exec(text)?.[1];
  if (relations === undefined) throw new Error('prisma/users.prisma holds the relations of User in another way.');
  const rows = `${relations}  ${named('sampleThings SampleThing', noun)}[]\n`.trimEnd().split('\n');
  const cells = rows.map((row) => row.trim().split(/ +/) as [string, string]);
  const width = Math.max(...cells.map(([name]) => name.length));
  return text.replace(relations, () => cells.map(([name, type]) => `  ${name.padEnd(width)} ${type}\n`).join(''));
}

function put(path: string, text: string): void {
  before.set(path, existsSync(path) ? readFileSync(path, 'utf8') : null);
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, text);
}

/** Everything as it was. What is built is older then than its sources, and built again by whoever needs it. */
function undo(): void {
  for (const [path, text] of before) {
    if (text !== null) writeFileSync(path, text);
    else rmSync(path, { force: true });
    const folder = dirname(path);
    if (text === null && existsSync(folder) && readdirSync(folder).length === 0) rmdirSync(folder);
  }
}

async function step(what: string, work: () => Promise<Outcome>): Promise<void> {
  process.stdout.write(`  ${what}\n`);
  const { code, output } = await work();
  if (code !== 0 || isInterrupted)
    throw new Error(`${output.trim()}\n${what} could not be made, so nothing was added.`);
}

/** `npm run statements`. */
function measureStatements(): Promise<Outcome> {
  process.env.STATEMENTS = 'write';
  return ownTool('test.mts', join('test', 'statements.test.ts'));
}

function say({ plural }: Noun): void {
  const files = [...before].filter(([path]) => !generated.includes(path));
  const lines = files.map(([path, text]) => `  ${text === null ? 'new    ' : 'changed'} ${path}`).sort();
  const next = `Change its fields and rules, then run: npm test -- test/${plural}.test.ts`;
  process.stdout.write(`${lines.join('\n')}\n${next}\n`);
}
