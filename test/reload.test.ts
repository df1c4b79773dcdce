/** @servers any */
import { type ChildProcess, spawn } from 'node:child_process';
import {
  chmodSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { type AddressInfo, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { processesIn } from '../src/embedded/processes.ts';
import { fullCount } from './support/counts.ts';
import { eventually } from './support/crowd.ts';
import { makeHome } from './support/home.ts';
import { leastEnvironment } from './support/process.ts';

const reloads = fullCount(3, 50);
const patience = 180_000;
jest.setTimeout(patience * (reloads + 4));

// A copy of the project, whose files may be changed; `npm run dev` itself, on a home of its own.
const project = mkdtempSync(join(tmpdir(), 'holdfast-reload-'));
const home = makeHome('reload');
const marked = join(project, 'src', 'http', 'openapi', 'openapi.ts');
const schema = join(project, 'prisma', 'catalog.prisma');
let dev: ChildProcess;
let said = '';
let url: string;

async function freePort(): Promise<number> {
  const probe = createServer();
  await new Promise<void>((done) => probe.listen(0, '127.0.0.1', done));
  const { port } = probe.address() as AddressInfo;
  await new Promise((done) => probe.close(done));
  return port;
}

beforeAll(async () => {
  chmodSync(project, 0o755);
  const copied = ['src', 'prisma', 'tools', 'prisma.config.ts', 'package.json', 'package-lock.json', 'nest-cli.json'];
  for (const path of [...copied, 'tsconfig.json', 'tsconfig.build.json'])
    cpSync(resolve(path), join(project, path), { recursive: true });
  symlinkSync(resolve('node_modules'), join(project, 'node_modules'));
  const PORT = String(await freePort());
  url = `http://127.0.0.1:${PORT}`;
  const flags = ['--disable-warning=MODULE_TYPELESS_PACKAGE_JSON', join('tools', 'dev.mts'), '--no-types'];
  dev = spawn(process.execPath, flags, {
    cwd: project,
    env: { ...leastEnvironment(), HOLDFAST_HOME: home, PORT, LOG_LEVEL: 'warn' },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  for (const stream of [dev.stdout, dev.stderr]) stream?.on('data', (chunk: Buffer) => (said += chunk.toString()));
}, patience);
afterAll(async () => {
  const ended = new Promise((done) => dev.once('exit', done));
  if (dev.exitCode === null && dev.signalCode === null) {
    dev.kill('SIGKILL');
    await ended;
  }
  await eventually(
    async () => left(),
    (n) => n === 0,
    60_000,
  );
  for (const path of [project, home]) rmSync(path, { recursive: true, force: true });
}, patience);

const left = (): number => ['primary', 'replica'].flatMap((name) => processesIn(join(home, name))).length;

/** Waits for an answer; a failure shows what was said at the terminal. */
async function until(isIt: (document: string) => boolean): Promise<void> {
  const ask = (): Promise<string> =>
    fetch(`${url}/openapi.json`)
      .then((answer) => answer.text())
      .catch(() => '');
  await eventually(ask, isIt, patience).catch(() => {
    throw new Error(`no such answer; at the terminal:\n${said}`);
  });
}
const untilTitled = (title: string): Promise<void> => until((document) => document.includes(`"${title}"`));
const starts = (): number => said.split('ready at').length;
const untilStartedAgain = (before: number): Promise<unknown> =>
  eventually(
    async () => starts(),
    (n) => n > before,
    patience,
  );
const untilSaid = (text: string, since: number): Promise<unknown> =>
  eventually(
    async () => said.slice(since),
    (news) => news.includes(text),
    patience,
  );

const text = readFileSync(join('src', 'http', 'openapi', 'openapi.ts'), 'utf8');
const titled = (title: string): string => text.replace("apiTitle = 'Holdfast'", `apiTitle = ${title}`);
const give = (title: string): void => writeFileSync(marked, titled(`'${title}'`));
/** As an editor that leaves the file the time it had, or one that saves twice within one tick of the clock. */
function giveWithTheSameTime(title: string): void {
  const { atime, mtime } = statSync(marked);
  give(title);
  utimesSync(marked, atime, mtime);
}
const primary = (): string | undefined => readFileSync(join(home, 'primary', 'postmaster.pid'), 'utf8').split('\n')[0];

it('starts the service, with the demo data', async () => {
  expect(titled("'another'")).not.toBe(text);
  await untilTitled('Holdfast');
  expect(said).toContain('demo data added');
  await untilSaid('ready at', 0);
});

it(`each of ${reloads} changes ends with a service that answers with it, on the database that stays up`, async () => {
  const before = primary();
  for (let n = 1; n <= reloads; n++) {
    give(`Reload ${n}`);
    // Every third is changed once more, at another moment of the reload each time.
    if (n % 3 === 0) {
      await sleep(50 * (n % 40));
      giveWithTheSameTime(`Reload ${n}, second`);
      await untilTitled(`Reload ${n}, second`);
    } else {
      await untilTitled(`Reload ${n}`);
    }
  }
  expect(primary()).toBe(before);
  expect(said).not.toMatch(/already runs from|is taken|ended by itself/);
});

it('a change that does not build leaves the service as it is, and the next one mends it', async () => {
  give('Before it is wrong');
  await untilTitled('Before it is wrong');
  const before = said.length;
  writeFileSync(marked, `${text}\nthis is no TypeScript;\n`);
  await untilSaid('it does not build', before);
  await untilTitled('Before it is wrong');
  give('After it was wrong');
  await untilTitled('After it was wrong');
});

it('follows files that come, two at once, and files that go', async () => {
  const added = join(project, 'src', 'http', 'openapi', 'its-name', 'name.ts');
  mkdirSync(dirname(added));
  writeFileSync(marked, `import { itsName } from './its-name/name.ts';\n${titled('itsName')}`);
  writeFileSync(added, `export const itsName = 'Of a new file';\n`);
  await untilTitled('Of a new file');
  writeFileSync(added, `export const itsName = 'Of a changed file';\n`);
  await untilTitled('Of a changed file');

  const before = said.length;
  rmSync(added);
  await untilSaid('the service ended with', before);
  expect(existsSync(join(project, 'dist', 'src', 'http', 'openapi', 'its-name', 'name.js'))).toBe(false);
  give('Without the new file');
  await untilTitled('Without the new file');
});

it('generates the client anew at a change of a Prisma file, also at one that comes meanwhile, and after one that is wrong', async () => {
  const source = readFileSync(schema, 'utf8');
  const generated = (): string => {
    const file = join(project, 'src', 'database', 'generated', 'enums.ts');
    return existsSync(file) ? readFileSync(file, 'utf8') : ''; // it is removed first
  };
  let before = said.length;
  writeFileSync(schema, `${source}\nenum Season {\n  summer\n  winter\n`);
  await untilSaid('the Prisma files are wrong', before);
  await untilTitled('Without the new file');

  before = starts();
  writeFileSync(schema, `${source}\nenum Season {\n  summer\n  winter\n}\n`);
  await sleep(500);
  writeFileSync(schema, `${source}\nenum Season {\n  summer\n  winter\n  spring\n}\n`);
  await eventually(
    async () => generated(),
    (client) => client.includes('spring'),
    patience,
  );
  await untilStartedAgain(before);
  await untilTitled('Without the new file');
});

it('starts the service anew when .env comes', async () => {
  const before = starts();
  writeFileSync(join(project, '.env'), 'LOG_LEVEL=error\n');
  await untilStartedAgain(before);
  await untilTitled('Without the new file');
});

it('ends with everything that it has started, by SIGINT with 0', async () => {
  const ended = new Promise((done) => dev.once('exit', done));
  dev.kill('SIGINT');
  expect(await ended).toBe(0);
  expect(left()).toBe(0);
  await expect(fetch(url)).rejects.toThrow();
});
