import { loadModule, parseSync } from 'libpg-query';

/** A statement of a migration that stands in the way of the service while it runs, or of the version before. */
export interface Obstacle {
  readonly table: string;
  readonly what: string;
  readonly instead: string;
}

type Node = Readonly<Record<string, unknown>>;
interface Statement {
  readonly stmt: Readonly<Record<string, Node>>;
  readonly stmt_location?: number;
  readonly stmt_len?: number;
}

/** In front of a statement: why it is harmless all the same. */
const reason = /^-- Harmless: \S.*$/m;
/** The end of the name of a migration that the version before cannot run with. */
const breaking = '_breaks_previous';

/**
 * What of a migration locks, reads or rewrites a table of any size that the service uses meanwhile, or takes from the version before what it
 * names. Tables that the migration creates are in nobody's way.
 */
export async function obstaclesIn(name: string, sql: string): Promise<Obstacle[]> {
  await loadModule();
  const bytes = Buffer.from(sql);
  const { stmts } = parseSync(sql) as unknown as { stmts: readonly Statement[] };
  const created = new Set(stmts.map(({ stmt }) => tableOf(stmt['CreateStmt'])));
  let end = 0;
  return stmts.flatMap(({ stmt, stmt_location: start = 0, stmt_len: length = bytes.length - start }) => {
    const text = bytes.subarray(end, (end = start + length)).toString();
    if (reason.test(text)) return [];
    const [kind, node] = Object.entries(stmt)[0] ?? ['', {}];
    const found = kind === 'AlterTableStmt' ? ofAlterTable(node) : (ofStatement[kind]?.(node) ?? []);
    const table = tableOf(node);
    const counts = found.filter(([, , isForOldOnly]) => isForOldOnly !== true || !name.endsWith(breaking));
    return created.has(table) ? [] : counts.map(([what, instead]) => ({ table, what, instead }));
  });
}

const tableOf = (node: Node | undefined): string =>
  ((node?.['relation'] as Node | undefined)?.['relname'] as string) ?? '';

/** What it does, what to write instead, and whether it is only the version before that it hinders. */
type Found = readonly [what: string, instead: string, isForOldOnly?: boolean];

const inBatches: Found = ['changes any number of rows in one transaction', 'change them in batches, in a command'];
const taken: Found = [
  'takes away what the version before names',
  `do it in the next version, or name the migration …${breaking}`,
  true,
];

const ofStatement: Readonly<Record<string, (node: Node) => Found[]>> = {
  IndexStmt: ({ concurrent }) =>
    concurrent === true
      ? []
      : [['keeps writes waiting for as long as it reads', 'CREATE INDEX CONCURRENTLY, alone in a migration']],
  UpdateStmt: () => [inBatches],
  DeleteStmt: () => [inBatches],
  RenameStmt: () => [taken],
};

const ofAlterTable = ({ cmds = [] }: Node): Found[] =>
  (cmds as readonly { readonly AlterTableCmd: Node }[]).flatMap(({ AlterTableCmd: { subtype, def } }) =>
    ofCommand(String(subtype), (def ?? {}) as Readonly<Record<string, Node>>),
  );

function ofCommand(
  subtype: string,
  { Constraint: constraint, ColumnDef: column }: Readonly<Record<string, Node>>,
): Found[] {
  if (subtype === 'AT_AlterColumnType')
    return [
      [
        'rewrites the table, and open sessions fail',
        'add a column, fill it in batches, and read it in the next version',
      ],
    ];
  if (subtype === 'AT_SetNotNull')
    return [
      [
        'reads the table while nobody else may',
        'ADD CONSTRAINT … CHECK (… IS NOT NULL) NOT VALID, and VALIDATE CONSTRAINT in the next migration',
      ],
    ];
  if (subtype === 'AT_DropColumn') return [taken];
  if (subtype === 'AT_AddConstraint') return ofConstraint(constraint ?? {});
  return subtype === 'AT_AddColumn' &&
    (column?.['constraints'] as readonly unknown[] | undefined)?.some(isComputed) === true
    ? [['writes a value into each row', 'add the column without it, and fill it in batches']]
    : [];
}

function ofConstraint({ contype, skip_validation: isLater, indexname }: Node): Found[] {
  if (['CONSTR_CHECK', 'CONSTR_FOREIGN'].includes(String(contype)))
    return isLater === true
      ? []
      : [['reads the table while writes wait', 'NOT VALID, and VALIDATE CONSTRAINT in the next migration']];
  return indexname === undefined && ['CONSTR_UNIQUE', 'CONSTR_PRIMARY', 'CONSTR_EXCLUSION'].includes(String(contype))
    ? [
        [
          'builds an index while nobody else may use the table',
          'CREATE UNIQUE INDEX CONCURRENTLY, and ADD CONSTRAINT … USING INDEX in the next migration',
        ],
      ]
    : [];
}

// A time of the transaction is one value for all rows, which PostgreSQL keeps beside the table.
const steady = new Set(['now', 'statement_timestamp', 'transaction_timestamp']);

function isComputed(constraint: unknown): boolean {
  const { Constraint: { contype, raw_expr: expression } = {} } = constraint as { Constraint?: Node };
  if (contype === 'CONSTR_GENERATED' || contype === 'CONSTR_IDENTITY') return true;
  const called = [...JSON.stringify(expression ?? null).matchAll(/"funcname":\[\{"String":\{"sval":"(\w+)"/g)];
  return contype === 'CONSTR_DEFAULT' && called.some(([, name = '']) => !steady.has(name));
}
