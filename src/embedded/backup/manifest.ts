import { createHash } from 'node:crypto';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { ClusterError } from '../problems.ts';

const NAME = 'backup.json';
const FORMAT = 1;

/** A file of the backup. */
export interface KeptFile {
  readonly bytes: number;
  readonly sha256: string;
}

/** What a backup says of itself. It is written last: a folder without it is no backup. */
export interface Manifest {
  readonly format: number;
  /** Of Holdfast. */
  readonly version: string;
  /** Of PostgreSQL: "18.4". */
  readonly postgres: string;
  /** A data folder can be read on the kind of machine that wrote it: "linux-x64". */
  readonly platform: string;
  /** Of this database and its copies alone. */
  readonly systemIdentifier: string;
  /** By name, with their checksums as Prisma records them. */
  readonly migrations: Readonly<Record<string, string>>;
  /** By the clock of the database. Whatever was acknowledged before it began is in the backup. */
  readonly begunAt: string;
  readonly endedAt: string;
  /** Positions in the write-ahead log, and the timeline they are of. What was committed before `end` is in the backup. */
  readonly start: string;
  readonly end: string;
  readonly timeline: number;
  /** The log is kept in files of this size. */
  readonly segmentBytes: number;
  /** Paths below the folder, with slashes, each behind the one that it lies in; some are empty. */
  readonly folders: readonly string[];
  readonly files: Readonly<Record<string, KeptFile>>;
}

export const sha256 = (content: string | Buffer): string => createHash('sha256').update(content).digest('hex');

/** Name and content of its file. The last line is the checksum of what stands above it. */
export function manifestFile(manifest: Manifest): { name: string; text: string } {
  const text = `${JSON.stringify(manifest, null, 1)}\n`;
  return { name: NAME, text: `${text}${sha256(text)}\n` };
}

/** Throws ClusterError when the folder is no complete backup, or its description was changed. */
export function readManifest(folder: string): Manifest {
  if (!existsSync(folder)) throw new ClusterError(`There is no backup ${folder}.`);
  const path = join(folder, NAME);
  if (!existsSync(path)) throw new ClusterError(`${folder} is not a complete backup: it has no ${NAME}.`);
  const [, text = '', checksum] = /^([\s\S]*\n)([0-9a-f]{64})\n$/.exec(readFileSync(path, 'utf8')) ?? [];
  if (checksum !== sha256(text)) throw new ClusterError(`The backup ${folder} is damaged: ${NAME} was changed.`);
  const manifest = JSON.parse(text) as Manifest;
  if (manifest.format === FORMAT) return manifest;
  throw new ClusterError(`The backup ${folder} has format ${manifest.format}, and this version reads ${FORMAT}.`);
}

/** Throws ClusterError unless the folder holds exactly the files that its manifest names. Their contents are not read. */
export function compareNames(folder: string, { files }: Manifest): void {
  const named = new Set(Object.keys(files));
  const there = readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => !entry.isDirectory())
    .map((entry) =>
      join(entry.parentPath, entry.name)
        .slice(folder.length + 1)
        .replaceAll('\\', '/'),
    )
    .filter((path) => path !== NAME);
  const missing = [...named].find((path) => !there.includes(path));
  if (missing !== undefined) throw new ClusterError(`The backup ${folder} is damaged: ${missing} is missing.`);
  const added = there.find((path) => !named.has(path));
  if (added !== undefined) throw new ClusterError(`The backup ${folder} is damaged: ${added} was added to it.`);
}

export const newManifest = (about: Omit<Manifest, 'format' | 'platform'>): Manifest => ({
  format: FORMAT,
  platform: thisPlatform,
  ...about,
});

export const thisPlatform = `${process.platform}-${process.arch}`;
