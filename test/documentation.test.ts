/** @servers any */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join, normalize } from 'node:path';

const pages = [
  ...readdirSync('.').filter((name) => name.endsWith('.md')),
  ...readdirSync('docs').map((name) => join('docs', name)),
];

interface Link {
  page: string;
  file: string;
  anchor: string | undefined;
}

/** The links of a page to files of this repository. */
function linksOf(page: string): Link[] {
  const text = readFileSync(page, 'utf8').replaceAll(/```[^]*?```/g, '');
  return [...text.matchAll(/\]\((?!https?:)([^)#\s]*)(?:#([^)\s]+))?\)/g)].map(([, target = '', anchor]) => ({
    page,
    file: target === '' ? page : normalize(join(dirname(page), target)),
    anchor,
  }));
}

/** The anchors of the headings of a page, as GitHub makes them. */
function anchorsOf(page: string): string[] {
  return [...readFileSync(page, 'utf8').matchAll(/^#+ (.+)$/gm)].map(([, heading = '']) =>
    heading
      .toLowerCase()
      .replaceAll(/[^\p{L}\p{N} _-]/gu, '')
      .replaceAll(' ', '-'),
  );
}

const links = pages.flatMap(linksOf);

it('the index of docs/ links every page beside it, and README.md links the index', () => {
  const linked = new Set(linksOf('docs/README.md').map(({ file }) => file));
  const others = pages.filter((page) => page.startsWith('docs/') && page !== 'docs/README.md');
  expect(others.length).toBeGreaterThan(8);
  expect(others.filter((page) => !linked.has(page))).toEqual([]);
  expect(linksOf('README.md').map(({ file }) => file)).toContain('docs/README.md');
});

it('every link between the pages leads to a file, and to a heading where it names one', () => {
  const dead = links.filter(
    ({ file, anchor }) => !existsSync(file) || (anchor !== undefined && !anchorsOf(file).includes(anchor)),
  );
  expect(links.length).toBeGreaterThan(20);
  expect(dead).toEqual([]);
});

it('no two decisions have one number', () => {
  const numbers = [...readFileSync('DECISIONS.md', 'utf8').matchAll(/^\*\*(\d+)\./gm)].map(([, number]) => number);
  expect(numbers.length).toBeGreaterThan(50);
  expect(numbers.filter((number, n) => numbers.indexOf(number) !== n)).toEqual([]);
});
