// npm run problems: writes docs/problems.md from every *.problems.ts. --check compares instead.
import { existsSync, globSync, readFileSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import prettier from 'prettier';
import { describeProblems } from '../src/http/problems/problem-pages.ts';

// Each registers what it defines.
for (const definitions of globSync('src/**/*.problems.ts')) await import(pathToFileURL(resolve(definitions)).href);

const file = join('docs', 'problems.md');
const style = { ...(await prettier.resolveConfig(file)), parser: 'markdown' };
const text = await prettier.format(describeProblems(), style);

if (!process.argv.includes('--check')) {
  writeFileSync(file, text);
} else if (!existsSync(file) || readFileSync(file, 'utf8') !== text) {
  process.stderr.write(`${file} is not what the *.problems.ts say. Run: npm run problems\n`);
  process.exitCode = 1;
}
