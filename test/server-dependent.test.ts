/** @servers any */
import { readdirSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { serverDependent } from '../tools/server-dependent.mts';

const files = ['src', 'test']
  .flatMap((folder) => readdirSync(folder, { recursive: true, encoding: 'utf8' }).map((name) => join(folder, name)))
  .filter((file) => file.endsWith('.test.ts'));
const [option, ...patterns] = serverDependent();
const isLeftOut = (file: string): boolean => patterns.some((pattern) => new RegExp(pattern).test(resolve(file)));

it('leaves out the files that begin with `@servers any`, and no others', () => {
  expect(option).toBe('--testPathIgnorePatterns');
  const begin = (file: string): boolean => readFileSync(file, 'utf8').startsWith('/** @servers any */\n');
  expect(files.filter(isLeftOut)).toEqual(files.filter(begin));
  expect(isLeftOut('test/server-dependent.test.ts')).toBe(true);
  expect(isLeftOut('test/transactions.test.ts')).toBe(false);
});

it('has the tag nowhere but in the first line, where it is read', () => {
  const tag = /^\s*(\/\*\*|\*|\/\/) *@servers/gm;
  const misplaced = files.filter((file) => readFileSync(file, 'utf8').replace('/** @servers any */\n', '').match(tag));
  expect(misplaced).toEqual([]);
});
