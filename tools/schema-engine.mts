#!/usr/bin/env node
// Prisma's command line speaks JSON-RPC with a native schema engine, which it downloads. This program takes the engine's
// place (PRISMA_SCHEMA_ENGINE_BINARY names it) and answers with the engine's own WebAssembly build from the package
// registry: the same code, nothing downloaded. PostgreSQL only.
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { createInterface } from 'node:readline';
import { bindMigrationAwareSqlAdapterFactory } from '@prisma/driver-adapter-utils';
import * as glue from '@prisma/schema-engine-wasm/schema_engine_bg';
import { LockHeldError } from './migration-lock.mts';
import { MigrationDatabase, type DatabaseError, type Datasource } from './migration-database.mts';

type Method = (params: unknown) => Promise<{ stdout?: string | null } | null | undefined>;
type Request = { id: number; method?: string; params?: unknown };

const METHODS = new Set([
  'applyMigrations',
  'createMigration',
  'dbExecute',
  'devDiagnostic',
  'diagnoseMigrationHistory',
  'diff',
  'ensureConnectionValidity',
  'evaluateDataLoss',
  'introspect',
  'introspectSql',
  'markMigrationApplied',
  'markMigrationRolledBack',
  'reset',
  'schemaPush',
]);

// These build on the schema that the migrations add up to, and this build of the engine gives them no shadow database to
// find it out: they succeed only when an earlier request has left it in the engine's memory.
const FROM_MEMORY = new Set(['createMigration', 'evaluateDataLoss']);

// Prisma reads each line of the standard error as one of the engine's own: neither a warning of Node's nor a stack may come there.
process.removeAllListeners('warning').on('warning', () => undefined);
process.on('uncaughtException', (error: Error) => {
  complain({ message: sentenceOf(error.message || String(error)) });
  process.exit(1);
});

const args = process.argv.slice(2);
const datasource = JSON.parse(valuesOf('--datasource')[0] ?? '{}') as Datasource;
// Not before: Node warns of it.
const { variables } = await import('../src/config/variables.ts');
const database = new MigrationDatabase(datasource, {
  waitMs: variables.DATABASE_MIGRATION_WAIT_MS.parse(process.env.DATABASE_MIGRATION_WAIT_MS || undefined),
  onWait: print,
});
const bound = bindMigrationAwareSqlAdapterFactory(database);

process.once('SIGINT', () => void leave(130));
process.once('SIGTERM', () => void leave(143));
const command = args.indexOf('cli');
if (args.includes('--version')) process.stdout.write(`schema-engine-cli ${packageVersion().split('.').at(-1)}\n`);
else if (command >= 0) await runOnce(args[command + 1] ?? '');
else await answerRequests();
await leave(0);

// --- The conversation ---

async function answerRequests(): Promise<void> {
  await loadWebAssembly();
  let engine: Promise<glue.SchemaEngine> | undefined;
  for await (const line of createInterface({ input: process.stdin })) {
    const request = JSON.parse(line) as Request;
    // Without a method it is the receipt for a print.
    if (request.method !== undefined) await answer(() => (engine ??= newEngine()), request.method, request);
  }
}

async function answer(
  engine: () => Promise<glue.SchemaEngine>,
  method: string,
  { id, params }: Request,
): Promise<void> {
  try {
    const result = await perform(engine, method, params);
    const printed = method === 'diff' ? (result as { stdout?: string | null }).stdout : null;
    if (printed) print(printed);
    send({ id, result: result ?? null });
  } catch (error) {
    const { message, code, meta } = await explained(original(error), engine);
    const data = { is_panic: false, message: sentenceOf(message || String(error)), error_code: code, meta };
    send({ id, error: { code: 4466, message: 'An error happened. Check the data field for details.', data } });
  }
}

async function perform(connected: () => Promise<glue.SchemaEngine>, method: string, params: unknown): Promise<unknown> {
  if (method !== 'getDatabaseVersion' && !METHODS.has(method)) throw new Error(unknownMethod(method));
  const engine = await connected();
  if (method === 'getDatabaseVersion') return engine.version();
  if (FROM_MEMORY.has(method)) await rememberMigrations(engine, params as glue.EvaluateDataLossInput);
  return (engine as unknown as Record<string, Method | undefined>)[method]?.(params);
}

/**
 * A migration of which nothing is left is marked as rolled back, so that it can be applied again. One that has failed for another reason is
 * for a person to look at, as Prisma has it.
 */
async function explained(error: DatabaseError, connected: () => Promise<glue.SchemaEngine>): Promise<DatabaseError> {
  if (!(error instanceof LockHeldError)) return error;
  const migrationName = await database.findUnfinished();
  if (migrationName === null) return error;
  await (await connected()).markMigrationRolledBack({ migrationName });
  return new Error(error.sentence(migrationName), { cause: error });
}

/** A diagnosis replays the migrations in a shadow database; when the engine knows the outcome already it costs nothing. */
async function rememberMigrations(engine: glue.SchemaEngine, params: glue.EvaluateDataLossInput): Promise<void> {
  const { migrationsList, filters } = params;
  await engine.diagnoseMigrationHistory({ migrationsList, filters, optInToShadowDatabase: true });
}

/** An error of ours that went through the engine comes back as the number under which it was noted. */
function original(error: unknown): DatabaseError {
  const id = /External error id#(\d+)/.exec(String(error))?.[1];
  const noted = id === undefined ? undefined : bound.errorRegistry.consumeError(Number(id));
  return (noted?.error ?? error) as DatabaseError;
}

/** Without the places in the engine's own source, which it writes below its words; with what to do where rights are missing. */
function sentenceOf(message: string): string {
  const words = message.replace(/\n\s*\d+: \w+::[\s\S]*$/, '').trimEnd();
  const isRefused = /permission denied|must be owner|must be superuser|42501/.test(words);
  return isRefused
    ? `${words}\nThe role ${database.user} may not do this: DATABASE_OWNER_URL names the role that owns the tables.`
    : words;
}

function unknownMethod(method: string): string {
  const versions = `@prisma/schema-engine-wasm ${packageVersion()} and the prisma package`;
  return `tools/schema-engine.mts does not know the engine method ${method}: ${versions} must be of one version.`;
}

function packageVersion(): string {
  return (JSON.parse(readFileSync(join(packageFolder(), 'package.json'), 'utf8')) as { version: string }).version;
}

function packageFolder(): string {
  return dirname(createRequire(import.meta.url).resolve('@prisma/schema-engine-wasm/schema_engine_bg'));
}

/** The command line writes it to its standard output. */
function print(content: string): void {
  send({ id: 1_000_000, method: 'print', params: { content } });
}

function send(message: object): void {
  process.stdout.write(`${JSON.stringify({ jsonrpc: '2.0', ...message })}\n`);
}

/** The shape of the native engine's log lines: from there the command line takes the reason of a failure. */
function complain(fields: { message: string; error_code?: string }): void {
  const line = { timestamp: new Date().toISOString(), level: 'ERROR', target: 'schema_engine::logger', fields };
  process.stderr.write(`${JSON.stringify(line)}\n`);
}

/** However it ends, no shadow database stays behind. */
async function leave(code: number): Promise<never> {
  await database.dropShadows();
  process.exit(code);
}

// --- One-shot commands: can-connect-to-database, create-database, drop-database ---

async function runOnce(name: string): Promise<void> {
  process.stderr.write('\n'); // The caller skips the first line.
  try {
    if (name === 'can-connect-to-database') await database.check();
    else if (name === 'create-database') await database.create();
    else if (name === 'drop-database') await database.drop();
    else throw new Error(`tools/schema-engine.mts does not know the command ${name}.`);
  } catch (error) {
    complain(describe(error as DatabaseError));
    process.exit(1);
  }
}

/** Prisma's codes: P1000 refused, P1003 no such database, P1001 everything else that keeps us out. */
function describe({ code, message }: DatabaseError): { message: string; error_code: string } {
  const { name, host, user } = database;
  if (code === '3D000') return { error_code: 'P1003', message: `Database \`${name}\` does not exist on ${host}.` };
  if (code === '28P01' || code === '28000') {
    return { error_code: 'P1000', message: `The database server at ${host} refused the user ${user}.` };
  }
  return { error_code: 'P1001', message: `Can't work with the database server at ${host}: ${message || code}.` };
}

// --- The engine ---

async function loadWebAssembly(): Promise<void> {
  Object.assign(globalThis, { PRISMA_WASM_PANIC_REGISTRY: { set_message: panic } });
  const bytes = readFileSync(join(packageFolder(), 'schema_engine_bg.wasm'));
  const imports = { './schema_engine_bg.js': glue as unknown as WebAssembly.ModuleImports };
  const { exports } = (await WebAssembly.instantiate(bytes, imports)).instance;
  (glue as unknown as { __wbg_set_wasm: (exports: unknown) => void }).__wbg_set_wasm(exports);
  (exports as { __wbindgen_start?: () => void }).__wbindgen_start?.();
}

function newEngine(): Promise<glue.SchemaEngine> {
  const files = valuesOf('--datamodels').flatMap(schemaFiles);
  const datamodels = files.map((path): [string, string] => [path, readFileSync(path, 'utf8')]);
  const options = { datamodels: datamodels.length > 0 ? datamodels : undefined };
  return glue.SchemaEngine.new(options, () => undefined, bound);
}

function panic(message: string): never {
  complain({ message });
  process.exit(101);
}

function schemaFiles(path: string): string[] {
  if (!statSync(path).isDirectory()) return [path];
  const names = readdirSync(path).filter((name) => name.endsWith('.prisma'));
  return names.map((name) => join(path, name));
}

function valuesOf(flag: string): string[] {
  return args.filter((_, index) => args[index - 1] === flag);
}
