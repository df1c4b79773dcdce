// npm run config: prints the table of variables. --write puts it into README.md and writes .env.example; --check compares both.
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import prettier from 'prettier';
import { describeVariables } from '../src/config/environment.ts';

const [begin, end] = ['<!-- config -->', '<!-- /config -->'];
// What a variable without a default may look like.
const examples: Record<string, string> = {
  CURRENCIES: 'EUR, CHF, USD',
  HTTP_TRUSTED_PROXIES: '10.0.0.0/8',
  HTTP_CORS_ORIGINS: 'https://shop.example',
  DATABASE_WRITE_URL: 'postgresql://holdfast_app:PASSWORD@db.example.com:5432/holdfast',
  DATABASE_READ_URL: 'postgresql://holdfast_reader:PASSWORD@replica.example.com:5432/holdfast',
  DATABASE_OWNER_URL: 'postgresql://holdfast_owner:PASSWORD@db.example.com:5432/holdfast',
  EXTERNAL_WORK: 'log',
  SEPARATE_WRITES: 'log',
  EMBEDDED_DATABASE: 'false',
  EMBEDDED_WAL_ARCHIVE: 'off',
  WEBHOOK_PRIVATE_ADDRESSES: 'refuse',
  MAIL_URL: 'smtp://holdfast:PASSWORD@mail.example.com:587',
  MAIL_FROM: 'Shop <orders@shop.example>',
  // Too short to pass, lest it be used.
  AUTH_SECRET: 'openssl rand -base64 48',
};

const variables = describeVariables();
const [option] = process.argv.slice(2);
if (option === undefined) process.stdout.write(await table());
else if (option === '--write') await write();
else if (option === '--check') await check();
else fail(`${option} is not known: --write, --check, or nothing.`);

async function write(): Promise<void> {
  if (existsSync('README.md')) writeFileSync('README.md', await withTable(readFileSync('README.md', 'utf8')));
  writeFileSync('.env.example', envExample());
}

async function check(): Promise<void> {
  const stale: string[] = [];
  const readme = existsSync('README.md') ? readFileSync('README.md', 'utf8') : null;
  if (readme !== null && readme !== (await withTable(readme))) stale.push('The table of variables in README.md');
  if (!existsSync('.env.example') || readFileSync('.env.example', 'utf8') !== envExample()) stale.push('.env.example');
  if (stale.length > 0)
    fail(`Not what src/config/environment.ts says: ${stale.join(', ')}. Run: npm run config -- --write`);
}

async function withTable(readme: string): Promise<string> {
  const [start, stop] = [readme.indexOf(begin), readme.indexOf(end)];
  if (start < 0 || stop < start) {
    fail(`README.md has no place for the table of variables: a line ${begin}, and below it a line ${end}.`);
    return readme;
  }
  return `${readme.slice(0, start + begin.length)}\n\n${await table()}\n${readme.slice(stop)}`;
}

/** As prettier writes it, which looks at README.md too. */
async function table(): Promise<string> {
  const code = (text: string): string => (text === '' ? '' : `\`${text}\``);
  const rows = variables.map(({ name, fallback, meaning }) => [code(name), code(fallback), meaning]);
  const lines = [['Variable', 'Default', 'Meaning'], ['---', '---', '---'], ...rows].map(
    (cells) => `| ${cells.map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |`,
  );
  return prettier.format(lines.join('\n'), { ...(await prettier.resolveConfig('README.md')), parser: 'markdown' });
}

function envExample(): string {
  const entries = variables.map(({ name, fallback, meaning }) => {
    const example = examples[name];
    const hint = example === undefined ? '' : `# ${name}=${example}\n`;
    return `# ${meaning}\n${hint}${name}=${fallback}\n`;
  });
  return `# Every variable with its default. Copy this file to .env and change what you need. An empty value counts as not set.\n\n${entries.join('\n')}`;
}

function fail(sentence: string): void {
  process.stderr.write(`${sentence}\n`);
  process.exitCode = 1;
}
