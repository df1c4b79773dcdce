import { ClusterError } from '../problems.ts';

const BLOCK = 512;

/** Told what an archive holds, in its order. */
export interface TarSink {
  folder(path: string): void;
  /** `bytes` of it follow by `data`, in pieces; then `end`. */
  file(path: string, bytes: number): void;
  data(piece: Buffer): void;
  end(): void;
}

/** Reads the tar archive of a base backup (ustar: folders and files, no links) as it comes in. */
export class TarReader {
  readonly #sink: TarSink;
  #header: Buffer = Buffer.alloc(0);
  /** Bytes of the file that are still to come, and of the padding behind it. */
  #left = 0;
  #padding = 0;
  #isOpen = false;

  constructor(sink: TarSink) {
    this.#sink = sink;
  }

  write(chunk: Buffer): void {
    let rest = chunk;
    while (rest.length > 0) rest = this.#take(rest);
  }

  /** Throws ClusterError when the archive has ended within a file. */
  finish(): void {
    if (this.#isOpen || this.#header.length > 0) throw new ClusterError('The base backup ended within a file.');
  }

  /** Gives what it has not taken. */
  #take(chunk: Buffer): Buffer {
    if (this.#left > 0) {
      const piece = chunk.subarray(0, this.#left);
      this.#sink.data(piece);
      this.#left -= piece.length;
      this.#close();
      return chunk.subarray(piece.length);
    }
    if (this.#padding > 0) {
      const skipped = Math.min(this.#padding, chunk.length);
      this.#padding -= skipped;
      return chunk.subarray(skipped);
    }
    const part = chunk.subarray(0, BLOCK - this.#header.length);
    this.#header = Buffer.concat([this.#header, part]);
    if (this.#header.length === BLOCK) this.#open();
    return chunk.subarray(part.length);
  }

  #open(): void {
    const header = this.#header;
    this.#header = Buffer.alloc(0);
    // The archive ends with blocks of zeros.
    if (header.every((byte) => byte === 0)) return;
    const path = textAt(header, 0, 100).replace(/^\.\//, '').replace(/\/$/, '');
    const kind = textAt(header, 156, 1);
    if (kind === '5') return this.#sink.folder(path);
    if (kind !== '0') throw new ClusterError(`The base backup holds ${path}, which is neither a file nor a folder.`);
    const bytes = Number.parseInt(textAt(header, 124, 12), 8);
    this.#left = bytes;
    this.#padding = (BLOCK - (bytes % BLOCK)) % BLOCK;
    this.#isOpen = true;
    this.#sink.file(path, bytes);
    this.#close();
  }

  #close(): void {
    if (this.#left > 0 || !this.#isOpen) return;
    this.#isOpen = false;
    this.#sink.end();
  }
}

function textAt(header: Buffer, from: number, length: number): string {
  const field = header.subarray(from, from + length);
  const end = field.indexOf(0);
  return field.subarray(0, end < 0 ? length : end).toString();
}
