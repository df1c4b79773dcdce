// Builds what has changed file by file, without looking at types: a fraction of a second, where the whole build takes many.
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import ts from 'typescript';
import { filesBelow, textOf } from './dev-files.mts';

const out = 'dist';
// What each file of `dist` was made from, so that the next build makes only what has changed. It goes with the folder.
const record = join(out, '.transpiled.json');

const { config } = ts.readConfigFile('tsconfig.json', (path) => readFileSync(path, 'utf8')) as {
  config: { compilerOptions: Record<string, unknown> };
};
const { options } = ts.convertCompilerOptionsFromJson(config.compilerOptions, '.');

/** Keeps `dist` as the source is, told by what the files hold: a time says nothing of two changes within one tick of the clock. */
export class Transpiler {
  readonly #built = new Map<string, string>(readRecord());
  #revision = 0;

  /** Another one each time that `dist` was changed. */
  get revision(): number {
    return this.#revision;
  }

  /**
   * Builds what is new, changed or missing, and removes what has no source any more.
   * What is wrong is given back for a person to read, empty when nothing is: then a single file keeps all of `dist` as it was.
   */
  build(): string {
    const sources = readSources();
    const stale = [...sources].filter(([file, text]) => this.#isStale(file, text));
    const results = stale.map(([file, text]) => ({ file, text, ...transpile(file, text) }));
    const wrong = results.flatMap(({ diagnostics = [] }) => diagnostics);
    if (wrong.length > 0) return ts.formatDiagnosticsWithColorAndContext(wrong, host);
    const orphans = withoutSource(sources);
    if (stale.length + orphans.length === 0) return '';
    // Until the end of it nothing is said of what is being written: a process that ends half-way leaves no record that is wrong.
    rmSync(record, { force: true });
    for (const file of orphans) for (const path of [file, `${file}.map`]) rmSync(path, { force: true });
    for (const file of this.#built.keys()) if (!sources.has(file)) this.#built.delete(file);
    for (const result of results) this.#write(result);
    writeFileSync(record, JSON.stringify([...this.#built]));
    this.#revision++;
    return '';
  }

  #isStale(file: string, text: string): boolean {
    return this.#built.get(file) !== digestOf(text) || !existsSync(targetOf(file));
  }

  #write({ file, text, outputText, sourceMapText = '' }: ts.TranspileOutput & { file: string; text: string }): void {
    mkdirSync(dirname(targetOf(file)), { recursive: true });
    writeFileSync(`${targetOf(file)}.map`, sourceMapText);
    writeFileSync(targetOf(file), outputText);
    this.#built.set(file, digestOf(text));
  }
}

const digestOf = (text: string): string => createHash('sha256').update(text).digest('base64');
const targetOf = (file: string): string => join(out, file.replace(/\.ts$/, '.js'));

/** Also what another build has left. */
function withoutSource(sources: ReadonlyMap<string, string>): string[] {
  const targets = new Set([...sources.keys()].map(targetOf));
  const isBuilt = (name: string): boolean => name.endsWith('.js');
  return filesBelow(join(out, 'src'), isBuilt).filter((file) => !targets.has(file));
}

function readRecord(): [string, string][] {
  return existsSync(record) ? (JSON.parse(readFileSync(record, 'utf8')) as [string, string][]) : [];
}

function readSources(): Map<string, string> {
  const isSource = (name: string): boolean => /(?<!\.test|\.d)\.ts$/.test(name);
  // The test kit is no part of the service, as tsconfig.build.json says.
  const files = filesBelow('src', isSource).filter((file) => !file.startsWith(join('src', 'testing')));
  return new Map(
    files.flatMap((file) => {
      const text = textOf(file);
      return text === null ? [] : [[file, text]];
    }),
  );
}

function transpile(fileName: string, text: string): ts.TranspileOutput {
  const sourceRoot = dirname(join(process.cwd(), fileName));
  const compilerOptions = { ...options, sourceRoot, incremental: false, tsBuildInfoFile: '', isolatedModules: true };
  return ts.transpileModule(text, { fileName, compilerOptions, reportDiagnostics: true });
}

const host: ts.FormatDiagnosticsHost = {
  getCurrentDirectory: () => process.cwd(),
  getCanonicalFileName: (name) => name,
  getNewLine: () => '\n',
};
