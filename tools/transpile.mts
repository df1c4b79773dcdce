// Builds what has changed file by file, without looking at types: a fraction of a second, where the whole build takes many.
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import ts from 'typescript';

const out = 'dist';
const single = join('prisma', 'seed.ts');

const { config } = ts.readConfigFile('tsconfig.json', (path) => readFileSync(path, 'utf8')) as {
  config: { compilerOptions: Record<string, unknown> };
};
const { options } = ts.convertCompilerOptionsFromJson(config.compilerOptions, '.');

/** What became of the files that were new, changed or removed since the last time. */
export interface Built {
  readonly changed: number;
  /** What is wrong, for a person; nothing was written then. */
  readonly errors: string;
}

/** Keeps `dist` as the source is. One file that cannot be read as TypeScript keeps all of them as they were. */
export class Transpiler {
  readonly #built = new Map<string, number>();

  build(): Built {
    const files = [...filesBelow('src'), single];
    const stale = files.filter((file) => this.#isStale(file));
    const results = stale.map((file) => ({ file, time: statSync(file).mtimeMs, ...transpile(file) }));
    const wrong = results.flatMap(({ diagnostics = [] }) => diagnostics);
    if (wrong.length > 0)
      return { changed: stale.length, errors: ts.formatDiagnosticsWithColorAndContext(wrong, host) };
    const removed = [...this.#built.keys()].filter((file) => !files.includes(file));
    for (const file of removed) {
      rmSync(targetOf(file), { force: true });
      this.#built.delete(file);
    }
    for (const { file, time, outputText, sourceMapText = '' } of results) {
      mkdirSync(dirname(targetOf(file)), { recursive: true });
      writeFileSync(`${targetOf(file)}.map`, sourceMapText);
      writeFileSync(targetOf(file), outputText);
      this.#built.set(file, time);
    }
    return { changed: stale.length + removed.length, errors: '' };
  }

  /** By the time of the file when it was built; the first time by that of what was built. */
  #isStale(file: string): boolean {
    const time = statSync(file).mtimeMs;
    const known = this.#built.get(file);
    if (known !== undefined) return known !== time;
    const built = statSync(targetOf(file), { throwIfNoEntry: false })?.mtimeMs ?? 0;
    if (built > time) this.#built.set(file, time);
    return built <= time;
  }
}

const targetOf = (file: string): string => join(out, file.replace(/\.ts$/, '.js'));

function transpile(fileName: string): ts.TranspileOutput {
  const sourceRoot = dirname(join(process.cwd(), fileName));
  const compilerOptions = { ...options, sourceRoot, incremental: false, tsBuildInfoFile: '', isolatedModules: true };
  return ts.transpileModule(readFileSync(fileName, 'utf8'), { fileName, compilerOptions, reportDiagnostics: true });
}

function filesBelow(folder: string): string[] {
  if (!existsSync(folder)) return [];
  const entries = readdirSync(folder, { withFileTypes: true, recursive: true });
  const files = entries.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name));
  return files.filter((file) => file.endsWith('.ts') && !file.endsWith('.test.ts') && !file.endsWith('.d.ts'));
}

const host: ts.FormatDiagnosticsHost = {
  getCurrentDirectory: () => process.cwd(),
  getCanonicalFileName: (name) => name,
  getNewLine: () => '\n',
};
