/** @servers any */
import { execFile } from 'node:child_process';
import { cpSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { startApp, type TestApp } from './support/app.ts';
import { findMistakes } from './support/books.ts';
import { makers } from './support/make.ts';

const run = promisify(execFile);
const root = join(__dirname, '..');
const tool = (name: string): string => join(root, 'node_modules', '.bin', name);

let service: TestApp;
let folder: string;
beforeAll(async () => {
  service = await startApp();
  folder = mkdtempSync(join(tmpdir(), 'holdfast-client-'));
});
afterAll(async () => {
  rmSync(folder, { recursive: true, force: true });
  expect(await findMistakes(service.database)).toEqual([]);
  await service.close();
});

const compilerOptions = {
  target: 'es2024',
  module: 'nodenext',
  strict: true,
  noUncheckedIndexedAccess: true,
  noUnusedLocals: true,
  types: ['node'],
  typeRoots: [join(root, 'node_modules', '@types')],
  lib: ['es2024', 'dom', 'dom.iterable', 'dom.asynciterable'],
  outDir: 'out',
};

it('the client that @hey-api/openapi-ts makes of our document compiles without a warning and goes the whole journey', async () => {
  const { body: document } = await service.as().get('/openapi.json').expect(200);
  writeFileSync(join(folder, 'openapi.json'), JSON.stringify(document));
  const generated = await run(tool('openapi-ts'), [
    ...['-i', join(folder, 'openapi.json'), '-o', join(folder, 'generated'), '-c', '@hey-api/client-fetch'],
    '--no-log-file',
  ]);
  expect(generated.stdout + generated.stderr).not.toMatch(/warn|error/i);

  cpSync(join(__dirname, 'client', 'journey.ts'), join(folder, 'journey.ts'));
  writeFileSync(join(folder, 'package.json'), '{ "type": "module" }');
  writeFileSync(join(folder, 'tsconfig.json'), JSON.stringify({ compilerOptions, include: ['journey.ts'] }));
  const compiled = await run(tool('tsc'), ['-p', folder]).catch((error: unknown) => error as { stdout: string });
  expect(compiled.stdout).toBe('');

  const { token } = await makers(service).operator();
  const journey = await run(process.execPath, [join(folder, 'out', 'journey.js'), service.url, token]);
  expect(JSON.parse(journey.stdout)).toEqual({
    codes: ['insufficient-funds', false, 422],
    isReplayed: [true, 'true'],
    name: 'Renamed',
    stale: 'version-mismatch',
    listed: [true],
    status: 'cancelled',
    moved: [2598, -2598, 5000],
    balance: { amount: 5000, currency: 'EUR' },
  });
});
