// npm run problems: writes docs/problems.md from src/http/problems.ts. --check compares instead.
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import prettier from 'prettier';
import { describeProblems } from '../src/http/problems.ts';

const file = join('docs', 'problems.md');
const style = { ...(await prettier.resolveConfig(file)), parser: 'markdown' };
const text = await prettier.format(describeProblems(), style);

if (!process.argv.includes('--check')) {
  writeFileSync(file, text);
} else if (!existsSync(file) || readFileSync(file, 'utf8') !== text) {
  process.stderr.write(`${file} is not what src/http/problems.ts says. Run: npm run problems\n`);
  process.exitCode = 1;
}
