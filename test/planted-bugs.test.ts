/** @servers any */
import { existsSync, readFileSync } from 'node:fs';
import { bugs } from './planted-bugs/bugs.ts';
import { type Ended, occurrences, patternOf, runChanged } from './planted-bugs/copies.ts';
import { fullCount } from './support/counts.ts';

// In a test run it is only looked at whether each bug can still be planted, and whether the tests that must notice it are there. Under
// `npm run prove` each is planted in a copy of the project, and they must fail.
const planted = bugs.slice(0, fullCount(0, bugs.length));

describe('a planted bug', () => {
  it('has a name of its own', () => {
    expect(new Set(bugs.map(({ name }) => name)).size).toBe(bugs.length);
  });

  it.each(bugs)('can be planted: $name', ({ changes }) => {
    for (const change of changes) {
      expect([change.file, change.text, occurrences(change)]).toEqual([change.file, change.text, 1]);
      expect(change.replacement).not.toBe(change.text);
    }
  });

  it.each(bugs)('has tests that are there: $name', ({ caughtBy: { file, tests } }) => {
    expect(existsSync(file)).toBe(true);
    const source = readFileSync(file, 'utf8');
    expect(tests.length).toBeGreaterThan(0);
    for (const test of tests)
      expect([`'${test}'`, `\`${test}\``].filter((title) => source.includes(title))).toHaveLength(1);
  });
});

/** What came of the tests that a title stands for. */
const endedAs = (title: string, ended: readonly Ended[]): Ended[] => {
  const pattern = new RegExp(`^${patternOf(title)}$`);
  return ended.filter((one) => pattern.test(one.title));
};

if (planted.length > 0) {
  it('without any bug the tests that must notice one pass', async () => {
    const files = [...new Set(planted.map(({ caughtBy }) => caughtBy.file))];
    const tests = [...new Set(planted.flatMap(({ caughtBy }) => caughtBy.tests))];
    const ended = await runChanged([], { files, tests });
    expect(ended.filter(({ status }) => status === 'failed')).toEqual([]);
    expect(tests.filter((title) => endedAs(title, ended).length === 0)).toEqual([]);
  }, 900_000);

  it.each(planted)(
    'is caught by its tests: $name ($harm)',
    async ({ name, changes, caughtBy: { file, tests }, saying }) => {
      const ended = await runChanged(changes, { files: [file], tests });
      for (const title of tests) {
        const failed = endedAs(title, ended).filter(({ status }) => status === 'failed');
        expect([title, failed.map(({ said }) => said)]).toEqual([
          title,
          expect.arrayContaining([expect.stringMatching(saying)]),
        ]);
      }
      process.stderr.write(`caught: ${name}\n`);
    },
    600_000,
  );
}
