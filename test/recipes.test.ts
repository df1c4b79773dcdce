/** @servers any */
import { spawnSync } from 'node:child_process';
import { existsSync, globSync, readFileSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Cluster, startCluster } from '../src/embedded/cluster.ts';
import { makeCopy } from './planted-bugs/copies.ts';
import { fullCount } from './support/counts.ts';
import { makeHome } from './support/home.ts';

// The recipes of the README, and what docs/extending.md says of files, are applied to one copy of the project, one after the other, as they are written. Its tests and checks are then those
// of the copy: a few in a test run, all of them under `npm run prove`. Each part is a test of its own, which has the time of one.

const [readme, extending] = ['README.md', 'docs/extending.md'].map((page) => readFileSync(page, 'utf8')) as [
  string,
  string,
];
const isWhole = fullCount(0, 1) === 1;
let copy: string;
let cluster: Cluster;
beforeAll(async () => {
  copy = makeCopy('recipes');
  // It runs as beside a service: each migrate dev would start and stop it, and replay the migrations four times with every write awaited.
  cluster = await startCluster({ home: makeHome('recipes'), durable: false, maxConnections: 20 });
  symlinkSync(cluster.home, join(copy, '.holdfast'));
});
afterAll(async () => {
  await cluster.stop();
  for (const folder of [cluster.home, copy]) rmSync(folder, { recursive: true, force: true });
});

/** The text of a section, up to the next one. */
const sectionOf = (title: string): string => {
  const [, section = ''] = readme.split(`\n## ${title}\n`);
  return section.split('\n## ')[0] ?? '';
};

const edit = (file: string, change: (text: string) => string): void => {
  const path = join(copy, file);
  const before = existsSync(path) ? readFileSync(path, 'utf8') : '';
  const after = change(before);
  expect([file, after === before]).toEqual([file, false]);
  writeFileSync(path, after);
};

/** The text with this one behind the line that holds the anchor, which is there once. */
const behind = (text: string, anchor: string, added: string): string => {
  expect([anchor, text.split(anchor).length - 1]).toEqual([anchor, 1]);
  const at = text.indexOf('\n', text.indexOf(anchor)) + 1;
  return `${text.slice(0, at)}${added}\n${text.slice(at)}`;
};

/** A numbered step: a file, a text that is there, and what goes behind its line, or, after `instead of`, in its place. */
function applyStep(step: string): void {
  const [, file = '', how = '', anchor = '', code = ''] = stepForm.exec(step) ?? [];
  expect([step, anchor === '']).toEqual([step, false]);
  if (how === 'in') return edit(file, (text) => behind(text, anchor, code));
  edit(file, (text) => {
    expect([anchor, text.split(anchor).length - 1]).toEqual([anchor, 1]);
    return text.replace(anchor, () => code);
  });
}
const stepForm = /^\d+\. `([^`]+)`: (in|instead of) `([^`]+)`, `([^`]+)`/;

/** A block begins with its place: `// file`, `// file, in the class`, `// file, in rows: why`. Imports go to the top of the file. */
function applyBlock(block: string): void {
  const [, file = '', place = '', code = ''] = /^\/\/ ([\w./-]+)(?:, in ([\w ]+))?.*\n([\s\S]*)$/.exec(block) ?? [];
  const lines = code.trimEnd().split('\n');
  const imports = lines.filter((line) => line.startsWith('import '));
  const added = lines.filter((line) => !imports.includes(line)).join('\n');
  edit(file, (text) => imports.map((line) => `${line}\n`).join('') + placed(text, place, added));
}

function placed(text: string, place: string, added: string): string {
  if (place === '') return `${text}\n${added}\n`;
  if (place !== 'the class') return text.replace(`${place}: {`, () => `${place}: {\n${added}`);
  const end = text.indexOf('\n}\n', text.indexOf('export class ')) + 1;
  return `${text.slice(0, end)}\n${added}\n${text.slice(end)}`;
}

/** Runs a command in the copy, as somebody there would. */
function tryOut(command: string) {
  // Of this run: what it proves in full, and its own cluster.
  const mine = /^(PROVE|JEST_|HOLDFAST_|npm_)/;
  const env = Object.fromEntries(Object.entries(process.env).filter(([name]) => !mine.test(name)));
  return spawnSync('bash', ['-c', command], { cwd: copy, env, encoding: 'utf8' });
}

function run(command: string): void {
  const { status, stdout, stderr } = tryOut(command);
  expect({ command, status, said: status === 0 ? '' : stdout + stderr }).toEqual({ command, status: 0, said: '' });
}

/** What a section says to do, in its order. */
function* partsOf(section: string): Generator<[name: string, work: () => void]> {
  for (const [part, language, block = ''] of section.matchAll(/```(ts|prisma|sh)\n([\s\S]*?)```|^\d+\. .*$/gm)) {
    if (language === undefined) yield [part, () => applyStep(part)];
    else if (language !== 'sh') yield [block.split('\n')[0] ?? '', () => applyBlock(block)];
    else for (const command of block.trim().split('\n')) yield [command, () => run(command)];
  }
}

/** Every file of the copy that is not made from others. */
function filesOfCopy(): Record<string, string> {
  const paths = globSync('**/*', {
    cwd: copy,
    exclude: ['node_modules', 'dist', '.holdfast', 'src/database/generated'],
  });
  const files = paths.filter((path) => statSync(join(copy, path)).isFile());
  return Object.fromEntries(files.map((path) => [path, readFileSync(join(copy, path), 'utf8')]));
}

it('npm run add-module leaves nothing behind when what it writes cannot be built', () => {
  const mistake = join(copy, 'src', 'mistake.ts');
  // The compiler finds the one, half a minute later than the build finds the other.
  writeFileSync(mistake, isWhole ? 'export const mistake: string = 1;\n' : 'export const mistake = ;\n');
  const before = filesOfCopy();
  const { status, stderr } = tryOut('npm run add-module -- wishlists');
  expect([status, stderr]).toEqual([1, expect.stringContaining('src/mistake.ts')]);
  expect(stderr).toMatch(/so nothing was added\.\n$/);
  expect(filesOfCopy()).toEqual(before);
  rmSync(mistake);
});

const titles = ['Recipe: add a field', 'Recipe: add an endpoint', 'Recipe: add a module'];
// The last recipe writes them anew before anything reads them, by `npm run add-module`: in a brief run the ones before do not write them.
const writtenLater = ['npm run openapi', 'npm run statements', 'npm run prisma -- generate'];
// In a brief run it is one of the tests of the project that results, which begins one test run the less.
const testedLater = 'npm test -- test/wishlists.test.ts';
const isDoneLater = (title: string, part: string): boolean =>
  !isWhole && (part === testedLater || (title !== titles.at(-1) && writtenLater.includes(part)));

describe.each(titles)('%s', (title) => {
  it.each([...partsOf(sectionOf(title))].filter(([part]) => !isDoneLater(title, part)))('%s', (_, work) => {
    work();
  });
});

const ofExtending = `
import { TrialBalanceService } from '../src/modules/audit/trial-balance.service.ts';
import { SeasonsRepository } from '../src/modules/wishlists/seasons.repository.ts';
import { startApp, type TestApp } from './support/app.ts';
import { makers, uuidOf } from './support/make.ts';

let service: TestApp;
beforeAll(async () => void (service = await startApp()));
afterAll(() => service.close());

it('a product has a season beside it, and the service that was put in the place of another answers', async () => {
  const make = makers(service);
  const { id } = await make.product();
  const seasons = service.app.get(SeasonsRepository);
  await seasons.set(uuidOf(id), 'spring');
  expect(await seasons.list([uuidOf(id)])).toEqual([{ productId: uuidOf(id), season: 'spring' }]);
  const { api } = await make.operator();
  expect((await api.get('/v1/ledger/trial-balance').expect(200)).body.balanced).toBe(true);
  expect(service.app.get(TrialBalanceService).constructor.name).toBe('AlarmingTrialBalanceService');
});
`;

describe('docs/extending.md', () => {
  // The other blocks of code are those of test/examples/extending.test.ts.
  const ofFiles = extending.replaceAll(/```ts\n(?!\/\/ )[\s\S]*?```/g, '');
  it.each([...partsOf(ofFiles)])('%s', (_, work) => {
    work();
  });
});

describe('the project that results', () => {
  const tested = ['orders', 'openapi', 'wishlists'];

  it('has types that are right', () => {
    // In a brief run without the tests that no recipe touches, which are half of the work.
    const tests = ['cases', ...tested.map((name) => `${name}.test.ts`)].map((name) => `test/${name}`);
    const part = {
      extends: './tsconfig.json',
      compilerOptions: { incremental: false, tsBuildInfoFile: null },
      include: ['src', ...tests],
    };
    if (!isWhole) writeFileSync(join(copy, 'tsconfig.part.json'), JSON.stringify(part));
    run(`npx tsc --noEmit -p tsconfig${isWhole ? '' : '.part'}.json`);
    rmSync(join(copy, 'tsconfig.part.json'), { force: true });
  });
  it('keeps the walls between its modules', () => run('npx depcruise --config .dependency-cruiser.cjs src'));
  it('passes the tests of what was changed', () => {
    writeFileSync(join(copy, 'test', 'extended.test.ts'), ofExtending);
    run(`npm test -- ${[...tested, 'extended'].map((name) => `test/${name}.test.ts`).join(' ')}`);
    rmSync(join(copy, 'test', 'extended.test.ts'));
  });
  if (isWhole)
    it('passes every test and check', () => {
      run('npm run format');
      run('npm run check');
      // But for those of the recipes: they are applied.
      run('npm test -- --testPathIgnorePatterns test/recipes.test.ts test/add-module.test.ts');
    });
});
