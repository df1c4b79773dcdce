// npm run transactions: prints every boundary of the built service, or what contradicts itself, with exit code 1. It needs no database.
import { randomBytes } from 'node:crypto';
import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import type * as app from '../src/app.ts';
import type * as config from '../src/config/config.ts';
import type * as environment from '../src/config/environment.ts';
import type * as table from '../src/transactions/boundary/table.ts';

const require = createRequire(import.meta.url);
// Built, because decorators are no syntax that Node can strip.
const built = <Module,>(path: string): Module => require(`../dist/src/${path}.js`) as Module;

const { createApp } = built<typeof app>('app');
const { makeConfig } = built<typeof config>('config/config');
const { readEnvironment } = built<typeof environment>('config/environment');
const { BoundaryTable } = built<typeof table>('transactions/boundary/table');

// The limits are those that the service would have here; the rest is never used.
if (existsSync('.env')) process.loadEnvFile('.env');
const settings = readEnvironment({
  ...process.env,
  EMBEDDED_DATABASE: '',
  DATABASE_WRITE_URL: 'postgresql://nobody@127.0.0.1:1/nothing',
  // Signs nothing: no request is served here.
  AUTH_SECRET: randomBytes(32).toString('base64'),
  LOG_LEVEL: 'silent',
});
const service = await createApp(makeConfig(settings as Parameters<typeof makeConfig>[0]));
const boundaries = service.get(BoundaryTable);
const contradictions = boundaries.contradictions();
await service.close();

if (contradictions.length === 0) {
  process.stdout.write(`${boundaries.describe()}\n`);
} else {
  for (const line of contradictions) process.stderr.write(`${line}\n`);
  process.exitCode = 1;
}
