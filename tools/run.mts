import { spawn } from 'node:child_process';
import { join } from 'node:path';

export interface Outcome {
  code: number;
  output: string;
}

/** Runs a program of Node's and gives what it said. Ended by a signal it has no code: 1. */
export function runNode(args: readonly string[]): Promise<Outcome> {
  const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'pipe'] });
  let output = '';
  child.stdout.on('data', (chunk: Buffer) => (output += chunk.toString()));
  child.stderr.on('data', (chunk: Buffer) => (output += chunk.toString()));
  return new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (code) => {
      resolve({ code: code ?? 1, output });
    });
  });
}

/** Generates the database client and builds the service, where they are older than what they are made from. */
export const build = (): Promise<Outcome> => runNode([join('tools', 'start.mjs'), '--build-only']);

/** A file of a package. */
export const packaged = (...path: string[]): string => join('node_modules', ...path);

/** Has the compiler look at the types of the service, without building anything. Takes over what `npm run dev` has looked at. */
export const checkTypes = (): Promise<Outcome> => runNode(typesOfService);

/** What Node is called with for that. */
export const typesOfService = [
  ...[packaged('typescript', 'bin', 'tsc'), '--noEmit', '-p', 'tsconfig.build.json'],
  ...['--tsBuildInfoFile', join('node_modules', '.cache', 'tsc', 'dev.tsbuildinfo')],
];

/** A tool of this folder as a program of its own. */
export const ownTool = (name: string, ...args: string[]): Promise<Outcome> =>
  runNode(['--disable-warning=MODULE_TYPELESS_PACKAGE_JSON', join('tools', name), ...args]);
