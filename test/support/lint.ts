import { spawnSync } from 'node:child_process';

export interface Text {
  /** The file that it is like: it stands beside it, in the same folder. */
  readonly like: string;
  /** It stands in its place, as rules name this very file. */
  readonly inPlace?: boolean;
  readonly code: string;
  /** The one rule to ask, beside whether the text compiles; otherwise all that the configuration asks. */
  readonly rule?: string;
}

export interface Answer {
  /** What each text was told: rules by their names, a text that does not parse or compile by its error. */
  readonly told: string[][];
  /** Of each of the files, which rules hold, and how severely. */
  readonly rulesOf: Record<string, Record<string, [severity: number]>>;
}

/** ESLint on texts that are in no file. In a process of its own: it reads an ES module as its configuration, which it can do outside Jest only. */
export function lint(texts: readonly Text[], files: readonly string[] = []): Answer {
  const input = JSON.stringify({ texts, files });
  const { stdout, stderr } = spawnSync(process.execPath, ['test/support/lint.mjs'], { input, encoding: 'utf8' });
  if (stdout === '') throw new Error(stderr);
  return JSON.parse(stdout) as Answer;
}
