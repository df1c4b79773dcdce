import { execFile } from 'node:child_process';
import { readFileSync, rmSync } from 'node:fs';
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
}, 60_000);
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

it('the two commands and every npm script that the README names exist', () => {
  const { scripts } = JSON.parse(readFileSync('package.json', 'utf8')) as { scripts: Record<string, string> };
  const named = [...readme.matchAll(/(?:`|&& |^)npm (?:run )?([a-z][\w:-]*)/gm)].map(([, name]) => name!);
  const own = named.filter((name) => !['ci', 'run'].includes(name));
  expect(own.length).toBeGreaterThan(5);
  expect(own.filter((name) => !(name in scripts))).toEqual([]);
});
