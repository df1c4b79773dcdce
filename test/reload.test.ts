import { type ChildProcess, spawn } from 'node:child_process';
import {
  appendFileSync,
  existsSync,
  chmodSync,
  cpSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { type AddressInfo, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { processesIn } from '../src/database/embedded/processes.ts';
import { fullCount } from './support/counts.ts';
import { eventually } from './support/crowd.ts';
import { makeHome } from './support/home.ts';

const reloads = fullCount(4, 50);
const patience = 300_000;
jest.setTimeout(patience * (reloads + 4));

// A copy of the project, whose files may be changed; `npm run dev` itself, on a home of its own.
const project = mkdtempSync(join(tmpdir(), 'holdfast-reload-'));
const home = makeHome('reload');
const marked = join(project, 'src', 'http', 'openapi.ts');
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
  const { PATH = '', HOME = '' } = process.env;
  const flags = ['--disable-warning=MODULE_TYPELESS_PACKAGE_JSON', join('tools', 'dev.mts'), '--no-types'];
  dev = spawn(process.execPath, flags, {
    cwd: project,
    env: { PATH, HOME, HOLDFAST_HOME: home, PORT, LOG_LEVEL: 'warn' },
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

const text = readFileSync(join('src', 'http', 'openapi.ts'), 'utf8');
const title = /setTitle\('([^']+)'\)/.exec(text)?.[1] ?? '';
const mark = (n: number): void =>
  writeFileSync(marked, text.replace(`setTitle('${title}')`, `setTitle('Reload ${n}')`));

it('starts the service, with the demo data', async () => {
  expect(text).toContain(title);
  await until((document) => document.includes('"Holdfast"'));
  expect(said).toContain('demo data added');
  expect(said).toContain('ready at');
});

it(`each of ${reloads} changes ends with a service that answers with it, on the database that stays up`, async () => {
  const primary = readFileSync(join(home, 'primary', 'postmaster.pid'), 'utf8').split('\n')[0];
  for (let n = 1; n <= reloads; n++) {
    mark(n);
    // Every third is saved twice, the second time in the middle of the reload.
    if (n % 3 === 0) {
      await sleep(50 * (n % 40));
      mark(n);
    }
    await until((document) => document.includes(`"Reload ${n}"`));
  }
  expect(readFileSync(join(home, 'primary', 'postmaster.pid'), 'utf8').split('\n')[0]).toBe(primary);
  expect(said).not.toMatch(/already runs from|is taken|ended by itself/);
});

it('a change that does not build leaves the service as it is, and the next one mends it', async () => {
  const before = said.length;
  writeFileSync(marked, `${text}\nthis is no TypeScript;\n`);
  await eventually(
    async () => said.slice(before),
    (news) => news.includes('it does not build'),
    patience,
  );
  await until((document) => document.includes(`"Reload ${reloads}"`));
  mark(reloads + 1);
  await until((document) => document.includes(`"Reload ${reloads + 1}"`));
});

it('a change of a Prisma file generates the client and starts the service anew', async () => {
  const starts = (): number => said.split('ready at').length;
  const before = starts();
  appendFileSync(schema, '\nenum Season {\n  summer\n  winter\n}\n');
  await eventually(
    async () => {
      const file = join(project, 'src', 'database', 'generated', 'enums.ts');
      return existsSync(file) ? readFileSync(file, 'utf8') : ''; // it is removed first
    },
    (generated) => generated.includes('Season'),
    patience,
  );
  await eventually(
    async () => starts(),
    (n) => n > before,
    patience,
  );
  await until((document) => document.includes(`"Reload ${reloads + 1}"`));
});

it('ends with everything that it has started, by SIGINT with 0', async () => {
  const ended = new Promise((done) => dev.once('exit', done));
  dev.kill('SIGINT');
  expect(await ended).toBe(0);
  expect(left()).toBe(0);
  await expect(fetch(url)).rejects.toThrow();
});
