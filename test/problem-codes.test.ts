import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import ts from 'typescript';
import { answerFor } from '../src/http/problem.ts';
import { describeProblems, problemOf, problems } from '../src/http/problems.ts';
import { conflict, type ErrorKind, notFound } from '../src/kernel/errors.ts';
import { startApp } from './support/app.ts';

interface Thrown {
  readonly code: string;
  /** What it is answered with; null where only the registry says. */
  readonly status: number | null;
  readonly file: string;
}

const kinds: Record<string, [kind: ErrorKind, status: number]> = {
  notFound: ['not_found', 404],
  found: ['not_found', 404],
  conflict: ['conflict', 409],
  invalid: ['invalid', 422],
  forbidden: ['forbidden', 403],
  unauthorized: ['unauthorized', 401],
  stale: ['stale', 412],
  unavailable: ['unavailable', 503],
};
const isCode = (text: string): boolean => /^[a-z]+(-[a-z]+)*$/.test(text);

const sources = readdirSync('src', { recursive: true, encoding: 'utf8' })
  .filter((file) => file.endsWith('.ts') && !file.endsWith('.test.ts') && !file.includes('generated'))
  .map((file) => join('src', file))
  .filter((file) => !/known-problem|problems(-of-\w+)?\.ts$|refusals\.ts$/.test(file));

/** The codes among the words of an expression: one, or one of two behind a question mark. */
function codesIn(node: ts.Node | undefined): string[] {
  if (node === undefined) return [];
  if (ts.isStringLiteral(node)) return isCode(node.text) ? [node.text] : [];
  if (ts.isConditionalExpression(node)) return [...codesIn(node.whenTrue), ...codesIn(node.whenFalse)];
  return [];
}

function thrownIn(file: string): Thrown[] {
  const text = readFileSync(file, 'utf8');
  const thrown: Thrown[] = [];
  const add = (node: ts.Node | undefined, status: number | null): void => {
    for (const code of codesIn(node)) thrown.push({ code, status, file });
  };
  const visit = (node: ts.Node): void => {
    // What a schema shows is thrown by nobody.
    if (ts.isPropertyAssignment(node) && node.name.getText() === 'examples') return;
    if (ts.isNewExpression(node) && node.expression.getText() === 'HttpProblem') {
      const [status, code] = node.arguments ?? [];
      add(code, Number(status?.getText()));
    }
    if (ts.isCallExpression(node)) {
      const name = node.expression.getText();
      const known = kinds[name];
      if (known && text.includes('kernel/errors.ts')) add(node.arguments[name === 'found' ? 1 : 0], known[1]);
      if (name === 'answer') add(node.arguments[0], null);
    }
    // The tables of what Fastify and Node refuse.
    if (ts.isArrayLiteralExpression(node) && /(problem|unreadable)\.ts$/.test(file)) add(node.elements[0], null);
    ts.forEachChild(node, visit);
  };
  visit(ts.createSourceFile(file, text, ts.ScriptTarget.Latest, true));
  return thrown;
}

/** The constraints and unique indexes that are there after all migrations, and are named after a code. */
function constraints(): string[] {
  const folders = readdirSync(join('prisma', 'migrations'), { withFileTypes: true }).filter((one) => one.isDirectory());
  const names = new Set<string>();
  for (const { name } of folders.sort((a, b) => (a.name < b.name ? -1 : 1))) {
    const sql = readFileSync(join('prisma', 'migrations', name, 'migration.sql'), 'utf8');
    for (const [, verb = '', made = ''] of sql.matchAll(
      /\b(DROP CONSTRAINT|DROP INDEX|ALTER INDEX|RENAME TO|CONSTRAINT|UNIQUE INDEX)(?: IF (?:NOT )?EXISTS)?\s+"?([a-z_-]+)"?/g,
    ))
      if (/^(DROP|ALTER)/.test(verb)) names.delete(made);
      else if (isCode(made)) names.add(made);
  }
  return [...names];
}

const thrown = sources.flatMap(thrownIn);

describe('the registry of problems', () => {
  it('knows every code that is thrown, with the status that it is thrown with', () => {
    expect(thrown.length).toBeGreaterThan(60);
    const wrong = thrown.filter(({ code, status }) => {
      const known = problemOf(code);
      return known === undefined || (status !== null && known.status !== status);
    });
    expect(wrong).toEqual([]);
  });

  it('knows every constraint that is named after a code', () => {
    expect(constraints()).toEqual(expect.arrayContaining(['insufficient-funds', 'email-taken']));
    expect(constraints().filter((name) => problemOf(name) === undefined)).toEqual([]);
  });

  it('knows none that nobody throws', () => {
    const used = new Set([...thrown.map(({ code }) => code), ...constraints()]);
    expect(Object.keys(problems).filter((code) => !used.has(code))).toEqual([]);
  });

  it('explains each in a sentence, and asks for a pause before a retry', () => {
    for (const [code, { status, title, meaning, retryable, ...rest }] of Object.entries(problems)) {
      expect(code).toMatch(/^[a-z]+(-[a-z]+)*$/);
      expect([code, title]).toEqual([code, expect.stringMatching(/^[A-Z][^.]+$/)]);
      expect([code, meaning]).toEqual([code, expect.stringMatching(/^[A-Z`].{20,}\.$/)]);
      expect([400, 500]).toContain(Math.floor(status / 100) * 100);
      expect([code, 'retryAfter' in rest]).toEqual([code, retryable]);
    }
  });

  it('is what a code has to be in to be answered: another is a mistake of ours', () => {
    expect(answerFor(conflict('not-registered-at-all', 'No.', { errors: [{ pointer: '/a', code: 'b' }] }))).toEqual(
      expect.objectContaining({ status: 500, code: 'internal-error', detail: 'Something went wrong on our side.' }),
    );
    expect(answerFor(notFound('toString', 'No.'))).toMatchObject({ status: 500 });
    expect(answerFor(conflict('slug-taken', 'Yes.'))).toMatchObject({ status: 409, code: 'slug-taken' });
  });
});

describe('the operations of the OpenAPI document', () => {
  // They are answered where there is no operation.
  const ofNone = ['route-not-found', 'method-not-allowed'];

  it('name every code of the registry but those that belong to none', () => {
    const { paths, components } = JSON.parse(readFileSync('openapi.json', 'utf8'));
    expect(Object.keys(components.examples).sort()).toEqual(Object.keys(problems).sort());
    const named = new Set(
      [...JSON.stringify([paths, components.responses]).matchAll(/#\/components\/examples\/([a-z-]+)/g)].map(
        ([, code]) => code,
      ),
    );
    expect(Object.keys(problems).filter((code) => !named.has(code))).toEqual(ofNone);
  });
});

describe('the page of problems', () => {
  it('is docs/problems.md, and is served where the type of a problem leads to', async () => {
    const service = await startApp();
    const { body } = await service.as().get('/v1/nothing').expect(404);
    const [path, anchor] = (body.type as string).split('#');
    const { text, type } = await service
      .as()
      .get(path as string)
      .expect(200);
    await service.close();
    expect(type).toBe('text/html');
    for (const code of Object.keys(problems)) expect(text).toContain(`<h2 id="${code}">`);
    expect(anchor).toBe('route-not-found');
    expect(text).not.toMatch(/<p>#|`/);
    expect(describeProblems()).toContain('\n## insufficient-funds\n');
  });
});
