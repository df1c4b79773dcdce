// What the text of a statement tells, as far as it must be known.

const spoken = /^(BEGIN|COMMIT|ROLLBACK(?! TO)|SAVEPOINT|RELEASE SAVEPOINT|ROLLBACK TO SAVEPOINT)(?: (\w+))?$/;

/** What Prisma says of the transaction itself. Without a verb it is a statement in it. */
export function spokenBy(text: string): { verb?: string; savepoint: string } {
  const [, verb, savepoint = ''] = spoken.exec(text) ?? [];
  return verb === undefined ? { savepoint } : { verb, savepoint };
}

// No row lock, and no function of ours: Prisma writes those that it uses in capitals.
const plainRead = /^SELECT (?:COUNT\(|"public"\.)(?![^]*(?: FOR |[a-z_"]\())/;

/** Whether it is one of Prisma's own reads, which take no transaction id. */
export const isPlainRead = (text: string): boolean => plainRead.test(text);

/** Verb and table: `INSERT product`. Enough to find it, and nothing of what was in it. */
export function nameOf(text: string): string {
  const [verb = ''] = /\w+/.exec(text) ?? [];
  const [, table] = /\b(?:FROM|INTO|UPDATE)\s+(?:"?public"?\.)?"?(\w+)/i.exec(text) ?? [];
  return table === undefined ? verb.toUpperCase() : `${verb.toUpperCase()} ${table}`;
}
