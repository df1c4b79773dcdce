// npm run openapi: writes openapi.json from the built service. --check compares instead. The service is not started: it needs no database.
import { randomBytes } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import type * as app from '../src/app.ts';
import type * as config from '../src/config/config.ts';
import type * as environment from '../src/config/environment.ts';
import type * as openapi from '../src/http/openapi/openapi.ts';

const file = 'openapi.json';
const require = createRequire(import.meta.url);
// Built, because decorators are no syntax that Node can strip.
const built = <Module,>(path: string): Module => require(`../dist/src/${path}.js`) as Module;

const { createApp } = built<typeof app>('app');
const { makeConfig } = built<typeof config>('config/config');
const { readEnvironment } = built<typeof environment>('config/environment');
const { describeApi } = built<typeof openapi>('http/openapi/openapi');

const settings = readEnvironment({
  DATABASE_WRITE_URL: 'postgresql://nobody@127.0.0.1:1/nothing',
  // Signs nothing: no request is served here.
  AUTH_SECRET: randomBytes(32).toString('base64'),
  LOG_LEVEL: 'silent',
});
const service = await createApp(makeConfig(settings as Parameters<typeof makeConfig>[0]));
const document = `${JSON.stringify(describeApi(service), null, 2)}\n`;
await service.close();

if (!process.argv.includes('--check')) {
  writeFileSync(file, document);
} else if (readOrEmpty() !== document) {
  process.stderr.write(`${file} is not what the controllers and schemas say. Run: npm run openapi\n`);
  process.exitCode = 1;
}

function readOrEmpty(): string {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return '';
  }
}
