import { existsSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { ClusterError } from '../problems.ts';

const SEGMENT = /^[0-9A-F]{24}$/;
const HISTORY = /^[0-9A-F]{8}\.history$/;

/** Where a backup stands in the log, which has segments of one size. */
export interface Place {
  readonly systemIdentifier: string;
  readonly timeline: number;
  readonly start: string;
  readonly end: string;
  readonly segmentBytes: number;
}

/** What an archive holds for a restore: the log of one timeline, without a gap behind the backup. */
export interface ArchivedLog {
  readonly folder: string;
  readonly timeline: number;
  /** Names of the files: segments of the log, and the histories of all timelines. */
  readonly files: readonly string[];
  /** Number of the last segment; -1 where there is none. */
  readonly last: number;
  /** The first segment that is missing where there are later ones. */
  readonly gap: number | null;
}

/**
 * The log since a backup. Each restored database writes a timeline of its own: where several go on from the backup, one must be named.
 * Throws ClusterError, also when the archive is not of this database.
 */
export function findLog(archive: string, place: Place, wanted?: number): ArchivedLog {
  const folder = folderOf(archive, place.systemIdentifier);
  const names = readdirSync(folder);
  const timeline = chooseTimeline(folder, names, place, wanted);
  const segments = segmentsOf(folder, names, place, timeline);
  const there = new Set(segments.map(({ number }) => number));
  let gap = numberAt(place.end, place.segmentBytes) + 1;
  while (there.has(gap)) gap++;
  const usable = segments.filter(({ number }) => number < gap);
  const last = Math.max(-1, ...usable.map(({ number }) => number));
  const files = [...usable.map(({ name }) => name), ...historiesIn(folder)];
  return { folder, timeline, files, last, gap: [...there].some((number) => number > gap) ? gap : null };
}

/** Names of the files that say which timelines there are: a number that one of them has is not given again. */
export const historiesIn = (folder: string): string[] =>
  existsSync(folder) ? readdirSync(folder).filter((name) => HISTORY.test(name)) : [];

/** Removes the log before a backup that starts there: neither it nor a later one needs that. Gives the number of files. */
export function pruneLog(archive: string, { systemIdentifier, start, segmentBytes }: Place): number {
  const folder = folderOf(archive, systemIdentifier);
  const names = readdirSync(folder).filter((name) => SEGMENT.test(name));
  const needless = names.filter((name) => numberOf(name, segmentBytes) < numberAt(start, segmentBytes));
  for (const name of needless) rmSync(join(folder, name));
  return needless.length;
}

/** The number of the segment in which a position of the log is: "1/6B374D48". */
export const numberAt = (position: string, segmentBytes: number): number =>
  Number(positionIn(position) / BigInt(segmentBytes));

/** Its name without the timeline: the number in two parts, of 4 GB, and of the segment within. */
export function nameOfNumber(number: number, segmentBytes: number): string {
  const perPart = 2 ** 32 / segmentBytes;
  const parts = [Math.floor(number / perPart), number % perPart];
  return parts.map((part) => part.toString(16).toUpperCase().padStart(8, '0')).join('');
}

/** In an archive each database has a folder of its own. */
function folderOf(archive: string, systemIdentifier: string): string {
  const folder = join(archive, systemIdentifier);
  if (existsSync(folder)) return folder;
  throw new ClusterError(`${archive} holds no write-ahead log of this database: it has no folder ${systemIdentifier}.`);
}

/** The newest file says which branch was written last, and not which one is meant. */
function chooseTimeline(folder: string, names: readonly string[], place: Place, wanted?: number): number {
  const all = names.filter((name) => HISTORY.test(name)).map((name) => Number.parseInt(name, 16));
  const later = all.filter((timeline) => goesOn(ancestorsOf(folder, timeline), place));
  const usable = [...new Set([place.timeline, ...later])].sort((a, b) => a - b);
  const [only] = usable;
  if (wanted === undefined && usable.length === 1 && only !== undefined) return only;
  if (wanted !== undefined && usable.includes(wanted)) return wanted;
  const list = usable.map((timeline) => `${timeline} (${lastChangeOf(folder, names, timeline)})`).join(', ');
  throw new ClusterError(
    wanted === undefined
      ? `The archive ${folder} has several timelines after this backup, as a database was restored from it or from an earlier one: ${list}. Name one with --timeline.`
      : `The timeline ${wanted} does not go on from this backup: ${list} ${usable.length === 1 ? 'does' : 'do'}.`,
  );
}

function lastChangeOf(folder: string, names: readonly string[], timeline: number): string {
  const prefix = prefixOf(timeline);
  const times = names.filter((name) => SEGMENT.test(name) && name.startsWith(prefix));
  const last = times.map((name) => statSync(join(folder, name)).mtime.toISOString()).sort();
  return last.length === 0 ? 'nothing archived' : `archived until ${last.at(-1)}`;
}

interface Ancestor {
  readonly timeline: number;
  /** Where it was left. */
  readonly until: string;
}

function ancestorsOf(folder: string, timeline: number): Ancestor[] {
  const path = join(folder, `${prefixOf(timeline)}.history`);
  if (!existsSync(path)) return [];
  const lines = readFileSync(path, 'utf8').matchAll(/^(\d+)\t([0-9A-F]+\/[0-9A-F]+)/gm);
  return [...lines].map(([, number = '', until = '']) => ({ timeline: Number(number), until }));
}

/** It left the backup's timeline behind the backup's end. */
const goesOn = (ancestors: readonly Ancestor[], { timeline, end }: Place): boolean =>
  ancestors.some((one) => one.timeline === timeline && positionIn(one.until) >= positionIn(end));

/** Those of the timeline, and those of its ancestors up to where they were left. */
function segmentsOf(folder: string, names: readonly string[], { start, segmentBytes }: Place, timeline: number) {
  const branch = [...ancestorsOf(folder, timeline), { timeline, until: null }];
  const first = numberAt(start, segmentBytes);
  return branch.flatMap((one) =>
    names
      .filter((name) => SEGMENT.test(name) && name.startsWith(prefixOf(one.timeline)))
      .map((name) => ({ name, number: numberOf(name, segmentBytes) }))
      .filter(({ number }) => number >= first)
      .filter(({ number }) => one.until === null || number <= numberAt(one.until, segmentBytes)),
  );
}

const prefixOf = (timeline: number): string => timeline.toString(16).toUpperCase().padStart(8, '0');

function positionIn(text: string): bigint {
  const [high = '', low = ''] = text.split('/');
  return (BigInt(`0x${high}`) << 32n) | BigInt(`0x${low}`);
}

const numberOf = (name: string, segmentBytes: number): number =>
  Number.parseInt(name.slice(8, 16), 16) * (2 ** 32 / segmentBytes) + Number.parseInt(name.slice(16), 16);
