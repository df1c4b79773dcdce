// The files that `npm run dev` follows. Any of them may come, go or change while it is being read.
import { createHash } from 'node:crypto';
import { readdirSync, readFileSync, watch } from 'node:fs';
import { join } from 'node:path';

const settleMs = 100;
// Whoever watches files may miss one.
const lookAgainMs = 1000;

/** Those of the folder, and of those below it, in one order; none when there is no such folder. */
export function filesBelow(folder: string, isWanted: (name: string) => boolean): string[] {
  const entries = unlessGone(() => readdirSync(folder, { withFileTypes: true, recursive: true })) ?? [];
  const files = entries.filter((entry) => entry.isFile() && isWanted(entry.name));
  return files.map((entry) => join(entry.parentPath, entry.name)).sort();
}

/** Null when there is no such file. */
export const textOf = (file: string): string | null => unlessGone(() => readFileSync(file, 'utf8'));

/** Tells two states of the same files apart, by their names and what they hold. */
export function digestOf(files: readonly string[]): string {
  return createHash('sha256')
    .update(JSON.stringify(files.map((file) => [file, textOf(file)])))
    .digest('base64');
}

function unlessGone<T>(read: () => T): T | null {
  try {
    return read();
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT' || code === 'ENOTDIR') return null;
    throw error;
  }
}

/**
 * Says when it is time to look at the files again: soon after a change that was noticed, else once a second. It never says what has
 * changed: whoever looks compares the files with those that the running service was made from, so that a change which is not noticed,
 * or comes while another one is being followed, is seen at the next look.
 */
export class Changes {
  #noticed = false;
  #wake = (): void => undefined;

  constructor(folders: readonly string[]) {
    const notice = (): void => {
      this.#noticed = true;
      this.#wake();
    };
    // Where a folder is removed or the system has no watch left, looking once a second does.
    for (const folder of folders)
      unlessGone(() => watch(folder, { recursive: folder !== '.' }, notice).on('error', () => undefined));
  }

  async next(): Promise<void> {
    if (!this.#noticed) await this.#wait(lookAgainMs);
    if (!this.#noticed) return;
    // An editor may write a file in several steps; what is read too early is only read again.
    await new Promise((resolve) => setTimeout(resolve, settleMs));
    this.#noticed = false;
  }

  #wait(ms: number): Promise<void> {
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, ms);
      this.#wake = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }
}
