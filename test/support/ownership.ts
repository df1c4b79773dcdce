import { readdirSync, readFileSync } from 'node:fs';
import { basename, dirname, join, relative } from 'node:path';
import { loadModule, parseSync } from 'libpg-query';
import ts from 'typescript';

/** A table of another module, and how a file reaches it. */
export interface Trespass {
  readonly file: string;
  readonly line: number;
  readonly module: string;
  readonly table: string;
  readonly by:
    | 'typed client'
    | 'reading client'
    | 'relation'
    | 'raw SQL'
    | 'raw SQL that writes'
    | 'lock'
    | 'unknown table'
    | 'unreadable SQL';
}

interface Model {
  readonly name: string;
  readonly table: string;
  /** The Prisma file in which it stands, which has the name of the module. */
  readonly owner: string;
  readonly lines: readonly string[];
}

/** The models and views of the Prisma files, by name. */
export function readModels(): Map<string, Model> {
  const files = readdirSync('prisma').filter((file) => file.endsWith('.prisma'));
  const models = files.flatMap((file) => {
    const text = readFileSync(join('prisma', file), 'utf8');
    return [...text.matchAll(/^(?:model|view) (\w+) \{\n(.*?)^\}/gms)].map(([, name = '', body = '']): Model => {
      const table = /@@map\("(\w+)"\)/.exec(body)?.[1] ?? name;
      return { name, table, owner: basename(file, '.prisma'), lines: body.split('\n') };
    });
  });
  return new Map(models.map((model) => [model.name, model]));
}

const models = readModels();
const byTable = new Map([...models.values()].map((model) => [model.table, model]));
const delegateOf = (name: string): Model | undefined => models.get(name.charAt(0).toUpperCase() + name.slice(1));

/** The model that a field of the model leads to; undefined for a column. */
function relationOf(model: Model, field: string): Model | undefined {
  const type = model.lines.map((line) => /^\s+(\w+)\s+(\w+)/.exec(line)).find((found) => found?.[1] === field)?.[2];
  return models.get(type ?? '');
}

const isSql = /^\s*(?:SELECT|INSERT|UPDATE|DELETE|MERGE|WITH|LOCK|TRUNCATE|COPY|TABLE|VALUES)\b/i;
const rawMembers = [
  '$queryRaw',
  '$executeRaw',
  '$queryRawUnsafe',
  '$executeRawUnsafe',
  'sql',
  'finalStatement',
  'firstStatement',
];

const writing = /^(Insert|Update|Delete|Merge|Truncate|Lock|Copy)Stmt$/;

/** The tables that a statement names, but for its own CTEs, and whether it writes to them. Throws where PostgreSQL's parser finds no statement. */
function tablesIn(sql: string): Map<string, boolean> {
  const [tables, ctes] = [new Map<string, boolean>(), new Set<string>()];
  const visit = (node: unknown, within = ''): void => {
    if (typeof node !== 'object' || node === null) return;
    for (const [key, value] of Object.entries(node)) {
      const { relname, schemaname } = (value ?? {}) as { relname?: unknown; schemaname?: unknown };
      const isTarget = writing.test(within) && (key === 'relation' || key === 'relations');
      if (typeof relname === 'string' && schemaname !== 'pg_catalog')
        tables.set(relname, isTarget || within === 'targets' || tables.get(relname) === true);
      if (key === 'CommonTableExpr') ctes.add((value as { ctename: string }).ctename);
      // What is truncated or locked is a list of tables.
      visit(value, isTarget || (within === 'targets' && Array.isArray(node)) ? 'targets' : key);
    }
  };
  visit(parseSync(sql));
  return new Map([...tables].filter(([table]) => !ctes.has(table) && !table.startsWith('pg_')));
}

class Survey {
  readonly found: Trespass[] = [];
  private readonly checker: ts.TypeChecker;
  private readonly module: string;

  constructor(
    private readonly source: ts.SourceFile,
    program: ts.Program,
  ) {
    this.checker = program.getTypeChecker();
    this.module = basename(dirname(source.fileName));
  }

  run(): Trespass[] {
    this.visit(this.source);
    return this.found;
  }

  private visit(node: ts.Node): void {
    if (ts.isTypeReferenceNode(node)) this.readTables(node);
    if (ts.isPropertyAccessExpression(node) || ts.isElementAccessExpression(node)) this.readDelegate(node);
    if (ts.isCallExpression(node)) this.readCall(node);
    if (ts.isTaggedTemplateExpression(node)) this.readTagged(node);
    else if (ts.isStringLiteralLike(node) || ts.isTemplateExpression(node)) this.readText(node);
    ts.forEachChild(node, (child) => {
      if (!(ts.isTaggedTemplateExpression(node) && child === node.template)) this.visit(child);
      else if (ts.isTemplateExpression(child)) child.templateSpans.forEach(({ expression }) => this.visit(expression));
    });
  }

  private reach(node: ts.Node, by: Trespass['by'], model: Model | undefined, table = model?.table ?? ''): void {
    if (model?.owner === this.module) return;
    const line = this.source.getLineAndCharacterOfPosition(node.getStart()).line + 1;
    const file = relative(process.cwd(), this.source.fileName);
    this.found.push({ file, line, module: this.module, table, by: model === undefined ? unknown(by) : by });
  }

  /** `Tables<…>` and `Reads<…>`, whatever alias stands in them. */
  private readTables(node: ts.TypeReferenceNode): void {
    const by = { Tables: 'typed client', Reads: 'reading client' } as const;
    const way = by[node.typeName.getText() as keyof typeof by];
    if (way === undefined) return;
    for (const argument of node.typeArguments ?? [])
      for (const type of partsOf(this.checker.getTypeFromTypeNode(argument)))
        if (type.isStringLiteral()) this.reach(node, way, delegateOf(type.value), type.value);
  }

  /** `db.account`, on whatever client: that of `run` has all tables. */
  private readDelegate(node: ts.PropertyAccessExpression | ts.ElementAccessExpression): void {
    const type = this.checker.getTypeAtLocation(node);
    const name = /^(\w+)Delegate$/.exec((type.aliasSymbol ?? type.getSymbol())?.name ?? '')?.[1];
    if (name !== undefined) this.reach(node, 'typed client', models.get(name));
  }

  private readCall(node: ts.CallExpression): void {
    const [first, second] = node.arguments;
    const name = node.expression.getText().split('.').at(-1) ?? '';
    if (name === 'lockRows' && second !== undefined)
      for (const { name: table } of this.checker.getTypeAtLocation(second).getProperties()) this.lock(node, table);
    if ((name === 'lockAndLoad' || name === 'defineLockableTables') && second !== undefined) {
      const type = this.checker.getTypeAtLocation(second);
      const tables = type.isStringLiteral() ? [type.value] : type.getProperties().map(({ name: table }) => table);
      for (const table of tables) this.lock(node, table);
    }
    const called = node.expression;
    if (!ts.isPropertyAccessExpression(called) || !ts.isPropertyAccessExpression(called.expression)) return;
    const model = delegateOf(called.expression.name.text);
    if (model !== undefined && first !== undefined)
      this.readMembers(node, this.checker.getTypeAtLocation(first), model, 0);
  }

  private lock(node: ts.Node, table: string): void {
    this.reach(node, 'lock', byTable.get(table), table);
  }

  /** Members of Prisma's arguments: what is a relation leads to another model, everything else stays with this one. */
  private readMembers(node: ts.Node, type: ts.Type, model: Model, depth: number): void {
    if (depth > 12) return;
    for (const part of partsOf(type)) {
      if (this.checker.isArrayType(part) || this.checker.isTupleType(part))
        for (const inner of this.checker.getTypeArguments(part as ts.TypeReference))
          this.readMembers(node, inner, model, depth + 1);
      else if ((part.flags & ts.TypeFlags.Object) !== 0 && part.getCallSignatures().length === 0)
        for (const member of part.getProperties()) this.readMember(node, member, model, depth);
    }
  }

  private readMember(node: ts.Node, member: ts.Symbol, model: Model, depth: number): void {
    const target = relationOf(model, member.name);
    if (target !== undefined) this.reach(node, 'relation', target);
    // What is neither said by Prisma nor a relation is a value: a date, bytes.
    if (target === undefined && !words.has(member.name)) return;
    this.readMembers(node, this.checker.getTypeOfSymbolAtLocation(member, node), target ?? model, depth + 1);
  }

  private readTagged(node: ts.TaggedTemplateExpression): void {
    const tag = ts.isCallExpression(node.tag) ? node.tag.expression : node.tag;
    if (rawMembers.includes(tag.getText().split('.').at(-1) ?? ''))
      this.readSql(node, this.textOf(node.template, true));
  }

  private readText(node: ts.StringLiteralLike | ts.TemplateExpression): void {
    const text = this.textOf(node);
    if (isSql.test(text) && /\s/.test(text.trim())) this.readSql(node, text);
  }

  private readSql(node: ts.Node, sql: string): void {
    try {
      for (const [table, isWritten] of tablesIn(sql))
        this.reach(node, isWritten ? 'raw SQL that writes' : 'raw SQL', byTable.get(table), table);
    } catch (error) {
      this.reach(node, 'unreadable SQL', undefined, (error as Error).message);
    }
  }

  /** The statement: parts of Prisma.sql, and constants where it is a text, are written out; what comes at run time is a parameter. */
  private textOf(node: ts.TemplateLiteral | ts.StringLiteralLike, isTagged = false): string {
    if (!ts.isTemplateExpression(node)) return node.text;
    const spans = node.templateSpans.map(
      ({ expression, literal }) => this.valueOf(expression, isTagged) + literal.text,
    );
    return node.head.text + spans.join('');
  }

  private valueOf(expression: ts.Expression, isTagged: boolean): string {
    if (this.isColumnsOfRowSet(expression)) return 'id';
    const declaration = this.checker.getSymbolAtLocation(expression)?.valueDeclaration;
    const value =
      declaration !== undefined && ts.isVariableDeclaration(declaration) ? declaration.initializer : undefined;
    if (value === undefined) return '$1';
    if (ts.isTaggedTemplateExpression(value)) return this.textOf(value.template, true);
    const isText = ts.isStringLiteralLike(value) || ts.isTemplateExpression(value);
    return isText && !isTagged ? this.textOf(value) : '$1';
  }

  /** Names of columns of the table that is written, whichever they are. */
  private isColumnsOfRowSet(expression: ts.Expression): boolean {
    if (!ts.isPropertyAccessExpression(expression) || expression.name.text !== 'columns') return false;
    return this.checker.getTypeAtLocation(expression.expression).symbol?.name === 'RowSet';
  }
}

/** The members of Prisma's arguments under which relations may stand. */
const words = new Set(
  `include select omit where data create update upsert connect connectOrCreate createMany updateMany delete deleteMany set disconnect
  AND OR NOT some every none is isNot orderBy cursor having _count`.split(/\s+/),
);
const unknown = (by: Trespass['by']): Trespass['by'] => (by === 'unreadable SQL' ? by : 'unknown table');
const partsOf = (type: ts.Type): ts.Type[] => (type.isUnionOrIntersection() ? type.types.flatMap(partsOf) : [type]);

/** The files that may meet a table: those of the modules, and the repositories beside them. Checks of the books read what they compare. */
export function filesToSurvey(): string[] {
  return readdirSync('src', { recursive: true, encoding: 'utf8' })
    .filter((file) => /^modules\/.*\.ts$|\.repository\.ts$/.test(file) && !/\.(test|checks)\.ts$/.test(file))
    .map((file) => join(process.cwd(), 'src', file));
}

/** Every reach for a table of another module, in these files; `texts` stand in for files that do not exist. */
export async function survey(files: readonly string[], texts: ReadonlyMap<string, string>): Promise<Trespass[]> {
  await loadModule();
  const { config } = ts.readConfigFile('tsconfig.json', (path) => ts.sys.readFile(path)) as { config: object };
  const settings = {
    ...ts.parseJsonConfigFileContent(config, ts.sys, process.cwd()).options,
    noEmit: true,
    incremental: false,
  };
  const host = ts.createCompilerHost(settings);
  const { getSourceFile, fileExists, readFile } = host;
  host.fileExists = (path) => texts.has(path) || fileExists(path);
  host.readFile = (path) => texts.get(path) ?? readFile(path);
  host.getSourceFile = (path, ...rest) => {
    const text = texts.get(path);
    return text === undefined
      ? getSourceFile(path, ...rest)
      : ts.createSourceFile(path, text, ts.ScriptTarget.ES2024, true);
  };
  const program = ts.createProgram([...files, ...texts.keys()], settings, host);
  return [...files, ...texts.keys()].flatMap((file) => {
    const source = program.getSourceFile(file);
    return source === undefined ? [] : new Survey(source, program).run();
  });
}
