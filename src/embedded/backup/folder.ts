import { createHash, type Hash } from 'node:crypto';
import {
  closeSync,
  createReadStream,
  createWriteStream,
  existsSync,
  mkdirSync,
  openSync,
  renameSync,
  writeSync,
} from 'node:fs';
import { open, readdir } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { ClusterError } from '../problems.ts';
import type { KeptFile } from './manifest.ts';
import type { TarSink } from './tar.ts';

const AT_ONCE = 16;

/** A folder that comes to be under another name, and has its own once it is complete and on disk. */
export class FolderDraft {
  readonly path: string;
  readonly files: Record<string, KeptFile> = {};
  readonly folders: string[] = [];
  readonly #target: string;

  /** Throws ClusterError when the folder exists, or another draft of it. */
  constructor(target: string) {
    this.#target = target;
    this.path = `${target}.partial`;
    if (existsSync(target)) throw new ClusterError(`${target} exists already: name a new folder for the backup.`);
    if (existsSync(this.path))
      throw new ClusterError(`Another backup is at work in ${this.path}, or was ended there: then remove it.`);
    mkdirSync(dirname(target), { recursive: true });
    mkdirSync(this.path, { mode: 0o700 });
  }

  /** Writes a whole file. */
  add(path: string, content: string | Buffer): void {
    const file = this.file(path);
    file.write(Buffer.from(content));
    file.close();
  }

  /** Writes a file piece by piece. */
  file(path: string): DraftFile {
    return new DraftFile(join(this.path, path), (kept) => (this.files[path] = kept));
  }

  folder(path: string): void {
    mkdirSync(join(this.path, path), { mode: 0o700 });
    this.folders.push(path);
  }

  /** From here on it has its name. */
  async complete(): Promise<void> {
    await syncTree(this.path);
    renameSync(this.path, this.#target);
    await syncPath(dirname(this.#target));
  }
}

/** Synchronous, as what arrives from the server comes in no faster than it is written. */
export class DraftFile {
  readonly #descriptor: number;
  readonly #hash: Hash = createHash('sha256');
  readonly #closed: (kept: KeptFile) => void;
  #bytes = 0;

  constructor(path: string, closed: (kept: KeptFile) => void) {
    this.#descriptor = openSync(path, 'wx', 0o600);
    this.#closed = closed;
  }

  write(piece: Buffer): void {
    for (let at = 0; at < piece.length;) at += writeSync(this.#descriptor, piece, at);
    this.#hash.update(piece);
    this.#bytes += piece.length;
  }

  close(): void {
    closeSync(this.#descriptor);
    this.#closed({ bytes: this.#bytes, sha256: this.#hash.digest('hex') });
  }
}

/** Writes the archive's files into a folder of the draft. */
export function unpackInto(draft: FolderDraft, below: string): TarSink {
  let file: DraftFile | null = null;
  return {
    folder: (path) => draft.folder(`${below}/${path}`),
    file: (path) => (file = draft.file(`${below}/${path}`)),
    data: (piece) => file?.write(piece),
    end: () => file?.close(),
  };
}

/** Copies a file, on disk when it resolves, and gives what was copied. */
export async function copyOnto(from: string, to: string): Promise<KeptFile> {
  const hash = createHash('sha256');
  let bytes = 0;
  const counted = async function* (pieces: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
    for await (const piece of pieces) {
      hash.update(piece);
      bytes += piece.length;
      yield piece;
    }
  };
  await pipeline(createReadStream(from), counted, createWriteStream(to, { flags: 'wx', mode: 0o600, flush: true }));
  return { bytes, sha256: hash.digest('hex') };
}

/** The same without copying. */
export async function digestOf(path: string): Promise<KeptFile> {
  const hash = createHash('sha256');
  let bytes = 0;
  for await (const piece of createReadStream(path) as AsyncIterable<Buffer>) {
    hash.update(piece);
    bytes += piece.length;
  }
  return { bytes, sha256: hash.digest('hex') };
}

/** Runs the work for each, some at a time. */
export async function forEachOf<T>(list: readonly T[], work: (one: T) => Promise<void>): Promise<void> {
  const rest = list.values();
  const worker = async (): Promise<void> => {
    for (const one of rest) await work(one);
  };
  await Promise.all(Array.from({ length: AT_ONCE }, worker));
}

/** Brings the files of a folder, and their names, onto the disk. */
async function syncTree(folder: string): Promise<void> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  const paths = entries.filter((entry) => entry.isFile() || entry.isDirectory());
  await forEachOf(
    paths.map((entry) => join(entry.parentPath, entry.name)),
    syncPath,
  );
  await syncPath(folder);
}

/** A file, or the names in a folder. Windows cannot open a folder, and keeps names by itself. */
export async function syncPath(path: string): Promise<void> {
  if (process.platform === 'win32') return;
  const handle = await open(path, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}
