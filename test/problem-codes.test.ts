/** @servers any */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import '../src/app.module.ts';
import { describeProblems } from '../src/http/problems/problem-pages.ts';
import { statusProblems } from '../src/http/problems/status.problems.ts';
import { allProblems, defineProblems, problemOf } from '../src/kernel/problem.ts';
import { orderProblems } from '../src/modules/orders/orders.problems.ts';
import { startApp } from './support/app.ts';

const isCode = (text: string): boolean => /^[a-z]+(-[a-z]+)*$/.test(text);

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

const sources = readdirSync('src', { recursive: true, encoding: 'utf8' })
  .filter((file) => file.endsWith('.ts') && !file.endsWith('.test.ts') && !file.includes('generated'))
  .map((file) => readFileSync(join('src', file), 'utf8'));

/** Where each problem is defined: `orderProblems.notFound`. */
const members = sources.flatMap((text) => {
  const [, group] = /export const (\w+) = defineProblems/.exec(text) ?? [];
  const defined = group === undefined ? '' : text.slice(text.indexOf('defineProblems({'));
  return [...defined.matchAll(/^ {2}(\w+): [\s\S]*?'([\w -]+)'/gm)].map(([, member]) => `${group}.${member}`);
});

describe('the problems of the modules', () => {
  it('are each thrown, or named by a constraint', () => {
    expect(members.length).toBe(allProblems().length);
    const all = sources.join('\n');
    const named = new Set(constraints());
    const unused = members.filter((member) => !new RegExp(`\\b${member.replace('.', '[.]')}\\b`).test(all));
    const spread = ['statusProblems']; // Object.values
    expect(unused.filter((member) => !spread.includes(member.split('.')[0]!) && !named.has(kebab(member)))).toEqual([]);
  });

  it('are known for every constraint that is named after a code', () => {
    expect(constraints()).toEqual(expect.arrayContaining(['insufficient-funds', 'email-taken']));
    expect(constraints().filter((name) => problemOf(name) === undefined)).toEqual([]);
  });

  it('are explained in a sentence', () => {
    for (const { code, status, title, meaning, detail } of allProblems()) {
      expect(code).toMatch(/^[a-z]+(-[a-z]+)*$/);
      expect([code, title]).toEqual([code, expect.stringMatching(/^[A-Z][^.]+$/)]);
      expect([code, meaning]).toEqual([code, expect.stringMatching(/^[A-Z`].{20,}\.$/)]);
      expect([code, detail]).toEqual([code, expect.stringMatching(/^[A-Z`].+\.$/)]);
      expect([4, 5]).toContain(Math.floor(status / 100));
    }
  });

  it('have each a code of their own', () => {
    const again = { kind: 'conflict', code: 'not-cancellable', title: 'A', meaning: 'B' } as const;
    expect(() => defineProblems({ again })).toThrow('The problem not-cancellable is defined twice.');
  });

  it('point to the place that was refused, and of a part to the place in the whole', () => {
    const error = orderProblems.notCancellable('No.', { pointer: '/a' });
    expect(error).toMatchObject({ message: 'No.', code: 'not-cancellable', type: orderProblems.notCancellable });
    expect(error.errors).toEqual([{ pointer: '/a', code: 'not-cancellable' }]);
    expect(error.within('/b').errors).toEqual([{ pointer: '/b/a', code: 'not-cancellable' }]);
    expect(orderProblems.notCancellable().within('/b').errors).toEqual([{ pointer: '/b', code: 'not-cancellable' }]);
    expect(orderProblems.notCancellable().message).toBe('Order cannot be cancelled.');
  });
});

const kebab = (member: string): string =>
  (member.split('.')[1] ?? '').replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);

const codes = allProblems().map(({ code }) => code);

describe('the operations of the OpenAPI document', () => {
  // They are answered where there is no operation.
  const ofNone = ['route-not-found', 'method-not-allowed', ...Object.values(statusProblems).map(({ code }) => code)];

  it('name every code of the registry but those that belong to none', () => {
    const { paths, components } = JSON.parse(readFileSync('openapi.json', 'utf8'));
    expect(Object.keys(components.examples).sort()).toEqual(codes.sort());
    const named = new Set(
      [...JSON.stringify([paths, components.responses]).matchAll(/#\/components\/examples\/([a-z-]+)/g)].map(
        ([, code]) => code,
      ),
    );
    expect(codes.filter((code) => !named.has(code)).sort()).toEqual(ofNone.sort());
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
    for (const code of codes) expect(text).toContain(`<h2 id="${code}">`);
    expect(anchor).toBe('route-not-found');
    expect(text).not.toMatch(/<p>#|`/);
    expect(describeProblems()).toContain('\n## insufficient-funds\n');
  });
});
