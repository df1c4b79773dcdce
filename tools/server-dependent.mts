import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

const tag = '/** @servers any */';

/**
 * Options with which Jest leaves out the test files that begin with `@servers any`: what they ask has the same answer on every PostgreSQL, or
 * is asked of the one that comes along, whichever the others are. A file that says nothing is asked of each.
 */
export function serverDependent(): string[] {
  const files = ['src', 'test']
    .flatMap((folder) => readdirSync(folder, { recursive: true, encoding: 'utf8' }).map((name) => join(folder, name)))
    .filter((file) => file.endsWith('.test.ts') && readFileSync(file, 'utf8').startsWith(tag));
  return ['--testPathIgnorePatterns', ...files.map((file) => `/${file.replaceAll('.', '[.]')}$`)];
}
