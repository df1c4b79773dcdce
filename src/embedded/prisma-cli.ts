import { spawn } from 'node:child_process';
import { delimiter, dirname, join } from 'node:path';

export interface PrismaRun {
  /** The role that owns the tables; default: DATABASE_OWNER_URL of this process. */
  databaseUrl?: string;
  /** True: nothing reaches the terminal, all of it is in `output`. False: it talks to the terminal, and `output` is empty. */
  quiet?: boolean;
  /** The project: the folder of prisma.config.ts, tools and node_modules. */
  root?: string;
  /** Ends the command. */
  signal?: AbortSignal;
}

export interface PrismaOutcome {
  code: number;
  output: string;
}

/** Runs `prisma <args>` as a child process, with the schema engine of tools/schema-engine.mts: nothing is downloaded. */
export function runPrisma(args: string[], run: PrismaRun = {}): Promise<PrismaOutcome> {
  const { quiet = false, root = process.cwd(), signal } = run;
  const program = join(root, 'node_modules', 'prisma', 'build', 'index.js');
  const options = { cwd: root, env: environment(root, run.databaseUrl), ...(signal ? { signal } : {}) };
  const stdio = quiet ? (['ignore', 'pipe', 'pipe'] as const) : (['inherit', 'inherit', 'inherit'] as const);
  const child = spawn(process.execPath, [program, ...args], { ...options, stdio: [...stdio] });
  let output = '';
  child.stdout?.on('data', (chunk: Buffer) => (output += chunk.toString()));
  child.stderr?.on('data', (chunk: Buffer) => (output += chunk.toString()));
  return new Promise((resolve, reject) => {
    child.once('error', (error) => error.name !== 'AbortError' && reject(error));
    // Ended by a signal it has no code: 1, for it did not do its work.
    child.once('close', (code) => resolve({ code: code ?? 1, output }));
  });
}

function environment(root: string, databaseUrl: string | undefined): NodeJS.ProcessEnv {
  const { PATH = '', DATABASE_OWNER_URL, ...others } = process.env;
  const url = databaseUrl ?? DATABASE_OWNER_URL;
  return {
    ...others,
    ...(url ? { DATABASE_OWNER_URL: url } : {}),
    // The engine is started by its first line, `env node`: it must find this Node, not an older one of the system.
    PATH: `${dirname(process.execPath)}${delimiter}${PATH}`,
    PRISMA_SCHEMA_ENGINE_BINARY: join(root, 'tools', 'schema-engine.mts'),
    PRISMA_HIDE_UPDATE_MESSAGE: '1',
    CHECKPOINT_DISABLE: '1',
  };
}
