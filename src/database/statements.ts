// What the text of a statement tells, as far as it must be known.

// No row lock, and no function of ours: Prisma writes those that it uses in capitals.
const plainRead = /^SELECT (?:COUNT\(|"public"\.)(?![^]*(?: FOR |[a-z_"]\())/;

/** Whether it is one of Prisma's own reads, which take no transaction id. */
export const isPlainRead = (text: string): boolean => plainRead.test(text);

const control =
  /^(BEGIN|START|COMMIT|END|ROLLBACK|ABORT|SAVEPOINT|RELEASE|PREPARE\s+TRANSACTION|RESET|DISCARD|DEALLOCATE|SET\s+(?!LOCAL\b|TRANSACTION\b|CONSTRAINTS\b))\b/i;

/**
 * Whether the text, or the first statement in it, begins, ends or divides a transaction, or changes the session, which the connection
 * would keep for whoever has it next.
 */
export const controlsTransaction = (text: string): boolean => control.test(withoutFirstComments(text));

const writing = /^(INSERT|UPDATE|DELETE|MERGE|TRUNCATE)\b/i;
const writingInside =
  /\b(INSERT\s+INTO|UPDATE\s+(ONLY\s+)?[\w".]+(\s+(AS\s+)?[\w"]+)?\s+SET|DELETE\s+FROM|MERGE\s+INTO)\b/i;

/** Whether the text says that it writes rows: by its verb, or in a part of its WITH. A function that it calls may write all the same. */
export function writesRows(text: string): boolean {
  const said = withoutFirstComments(text);
  return writing.test(said) || (/^WITH\b/i.test(said) && writingInside.test(said));
}

/** The text from its first word on. PostgreSQL's comments nest. */
function withoutFirstComments(text: string): string {
  let rest = text;
  for (let before = ''; before !== rest;) {
    before = rest;
    rest = rest.replace(/^(\s|;|--.*)+/, '');
    if (rest.startsWith('/*')) rest = rest.slice(endOfComment(rest));
  }
  return rest;
}

function endOfComment(text: string): number {
  let depth = 0;
  for (const { 0: mark, index } of text.matchAll(/\/\*|\*\//g)) {
    depth += mark === '/*' ? 1 : -1;
    if (depth === 0) return index + mark.length;
  }
  return text.length;
}

// What stands in quotes, by either kind of them, may be a value.
const literals = /'(?:[^']|'')*'|(\$\w*\$)[^]*?\1/g;

/** Verb and table: `INSERT product`. Enough to find it, and nothing of what was in it. */
export function nameOf(text: string): string {
  const [verb = ''] = /\w+/.exec(withoutFirstComments(text)) ?? [];
  const [, table] = /\b(?:FROM|INTO|UPDATE)\s+(?:"?public"?\.)?"?(\w+)/i.exec(text.replace(literals, "''")) ?? [];
  return table === undefined ? verb.toUpperCase() : `${verb.toUpperCase()} ${table}`;
}
