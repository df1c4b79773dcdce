// What the text of a statement tells, as far as it must be known.

// No row lock, and no function of ours: Prisma writes those that it uses in capitals.
const plainRead = /^SELECT (?:COUNT\(|"(?:public|t0)"\.)(?![^]*(?: FOR |[a-z_"]\())/;

/** Whether it is one of Prisma's own reads, which take no transaction id. */
export const isPlainRead = (text: string): boolean => plainRead.test(text);

/** Whether a statement with this answer has ended the transaction, also when it has begun the next one: ROLLBACK AND CHAIN. */
export const hasEnded = (command: string): boolean => command === 'COMMIT' || command === 'ROLLBACK';

const control =
  /^(BEGIN|START|COMMIT|END|ROLLBACK|ABORT|SAVEPOINT|RELEASE|PREPARE\s+TRANSACTION|RESET|DISCARD|DEALLOCATE|SET\s+(?!LOCAL\b|CONSTRAINTS\b))\b/i;

/**
 * Whether the text, or the first statement in it, begins, ends or divides a transaction, changes its access or its level, which are the
 * boundary's, or changes the session, which the connection would keep for whoever has it next. `values` are those of its parameters.
 * What is put together inside the server is not seen here: there a transaction that reads has had its first query.
 */
export function controlsTransaction(text: string, values: readonly unknown[] = []): boolean {
  const said = withoutComments(withoutFirstComments(text));
  if (control.test(said)) return true;
  return /^(?:SET|DO)\b/i.test(said) ? setsTerms.test(said) : callsSetConfig(said, values);
}

const terms = String.raw`"?(?:default_)?transaction_\w+`;
const setsTerms = new RegExp(
  String.raw`\bSET\s+(?:SESSION\s+CHARACTERISTICS|(?:(?:LOCAL|SESSION)\s+)?(?:TRANSACTION\b|${terms}))|\bRESET\s+(?:ALL\b|${terms})|set_config|pg_settings`,
  'i',
);
const ofTerms = /^(?:default_)?transaction_/i;

// set_config() sets whatever its first argument names, and for the session unless the third one is true.
function callsSetConfig(said: string, values: readonly unknown[]): boolean {
  const named = said.replace(/'(?:[^']|'')*'/g, (literal) => (ofTerms.test(literal.slice(1)) ? "'terms'" : "''"));
  if (/^UPDATE\b[^]*\bpg_settings\b/i.test(named)) return true;
  if (!/\bset_config"?\s*\(/i.test(named)) return false;
  const setsLiteral = /set_config"?\s*\(\s*(?:'terms'|(?!''\s*,|\$\d+(?:::\w+)?\s*,))/i.test(named);
  const isForSession = /,\s*false\s*\)/i.test(named) || values.includes(false);
  return setsLiteral || isForSession || values.some((value) => typeof value === 'string' && ofTerms.test(value));
}

// Not in quotes, as far as a regular expression sees them.
const withoutComments = (text: string): string =>
  text.replace(/'(?:[^']|'')*'|--.*|\/\*[^]*?\*\//g, (part) => (part.startsWith("'") ? part : ' '));

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
