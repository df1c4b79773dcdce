/** @servers any */
import { execFile } from 'node:child_process';
import { existsSync, readFileSync, rmSync } from 'node:fs';
import { promisify } from 'node:util';
import { makeHome } from './support/home.ts';
import { buildService, type ServiceProcess, startService } from './support/process.ts';

const readme = readFileSync('README.md', 'utf8');
const home = makeHome('readme');
let api: string;
let service: ServiceProcess;

beforeAll(async () => {
  await buildService();
  service = startService({ HOLDFAST_HOME: home });
  api = `${await service.url}/v1`;
});
afterAll(async () => {
  service.kill('SIGINT');
  await service.exit;
  rmSync(home, { recursive: true, force: true });
});

/** The lines of the README's journey, sent to our service. */
function journey(): string {
  const block = /<!-- journey -->\s+```sh\n([\s\S]*?)```/.exec(readme)?.[1] ?? '';
  return block.replace('api=http://127.0.0.1:3000/v1', `api=${api}`);
}

async function shell(script: string): Promise<string> {
  const { stdout } = await promisify(execFile)('bash', ['-c', script], {
    env: { ...process.env, http_proxy: '', no_proxy: '*' },
  });
  return stdout;
}

it('the journey of the README works by copy and paste, and ends when the money does', async () => {
  const answers = (await shell(journey())).split(/(?<=\})(?=\{)/).map((answer) => JSON.parse(answer));
  expect(answers).toMatchObject([
    { object: 'transfer', kind: 'deposit', amount: { amount: 50_000, currency: 'EUR' } },
    { object: 'order', status: 'placed', paymentState: 'paid' },
  ]);

  const [last = ''] = journey().trim().split('\n').reverse();
  const tools = journey().split('\n\n')[0];
  const ada = `ada=${answers[0].toAccountId}`;
  let answer = answers[1];
  for (let n = 0; n < 10 && answer.object === 'order'; n++)
    answer = JSON.parse(await shell([tools, ada, last].join('\n')));
  expect(answer).toMatchObject({ status: 422, code: 'insufficient-funds' });
});

const { scripts } = JSON.parse(readFileSync('package.json', 'utf8')) as { scripts: Record<string, string> };

it('the two commands and every npm script that the README names exist', () => {
  const named = [...readme.matchAll(/(?:`|&& |^)npm (?:run )?([a-z][\w:-]*)/gm)].map(([, name]) => name!);
  const own = named.filter((name) => !['ci', 'run'].includes(name));
  expect(own.length).toBeGreaterThan(5);
  expect(own.filter((name) => !(name in scripts))).toEqual([]);
});

it('every command in its table exists, also those that share a line', () => {
  const [, table = ''] = /\n## Commands\n([^]*?)\n## /.exec(readme) ?? [];
  const rows = table.split('\n').filter((line) => line.startsWith('| `'));
  const commands = rows.flatMap((row) => [...(row.split(' | ')[0] ?? '').matchAll(/`(?:npm (?:run )?)?([\w:-]+)/g)]);
  const names = commands.map(([, name]) => name!);
  expect(names.length).toBeGreaterThan(12);
  expect(names.filter((name) => !(name in scripts))).toEqual([]);
});

it('every command and every test that the page on transactions names exists', () => {
  const page = readFileSync('docs/transactions.md', 'utf8');
  const commands = [...page.matchAll(/`npm (?:run )?([\w:-]+)(?: -- ([^`]+))?`/g)].map(([, name, file]) => ({
    name: name!,
    file,
  }));
  const promised = [...page.matchAll(/^\| G\d+ .*\|([^|]*)\|$/gm)].flatMap(([, cell = '']) =>
    [...cell.matchAll(/`([\w-]+)`/g)].map(([, test]) => `test/${test}.test.ts`),
  );
  const files = [...promised, ...commands.flatMap(({ file }) => file ?? [])];
  expect([commands.length, promised.length].every((count) => count > 15)).toBe(true);
  expect(commands.filter(({ name }) => !(name in scripts))).toEqual([]);
  expect(files.filter((file) => !existsSync(file))).toEqual([]);
  // Those are the ones that `npm run prove` takes.
  const proofs = commands.flatMap(({ name, file }) => (name === 'prove' && file !== undefined ? file : []));
  expect(proofs.filter((file) => !readFileSync(file, 'utf8').includes('fullCount('))).toEqual([]);
});
