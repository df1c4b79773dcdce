/** @servers any */
import { readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { buildService } from './support/process.ts';

/** Every package that a file and what it imports load at once, without those that come with Node. What is imported by `import()` comes later. */
function packagesBehind(file: string, seen = new Set<string>()): string[] {
  if (seen.has(file)) return [];
  seen.add(file);
  // As it is built: types are gone.
  const imports = [...readFileSync(file, 'utf8').matchAll(/\brequire\("([^"]+)"\)/g)].map(([, name = '']) => name);
  return imports.flatMap((name) => {
    if (name.startsWith('.')) return packagesBehind(join(dirname(file), name), seen);
    return name.startsWith('node:') ? [] : name;
  });
}

beforeAll(buildService);

it('what begins the database loads nothing of the service, which is loaded beside it', () => {
  const packages = new Set(packagesBehind(join('dist', 'src', 'main.js')));
  expect([...packages].sort()).toEqual(['pg', 'pg-connection-string', 'zod']);
  expect(packagesBehind(join('dist', 'src', 'serve.js'))).toContain('@nestjs/core');
});
