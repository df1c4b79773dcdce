import { type ExpectedVersion, isExpected } from '../../http/conditional/if-match.ts';
import { generalProblems } from '../../kernel/general.problems.ts';
import { sampleThingProblems } from './sample-things.problems.ts';
import type { SampleThingPatch } from './sample-things.schema.ts';

/** What the rules look at: the row as it is before an edit. */
interface Before {
  readonly version: number;
  readonly archived: boolean;
}

/** Throws version-mismatch where somebody else has edited the sample thing since it was read. */
export function refuseVersion({ version }: Before, expected: ExpectedVersion): void {
  if (isExpected(expected, version)) return;
  throw generalProblems.versionMismatch(`The sample thing is at version ${version} by now.`, { version });
}

/** Throws sample-thing-archived: only an edit that ends the archiving changes an archived sample thing. */
export function refuseEdit(before: Before, patch: SampleThingPatch): void {
  if (before.archived && patch.archived !== false) throw sampleThingProblems.archived();
}
