/** @servers any */
import { replicasIn } from './replicas.ts';

const [one, two] = ['postgresql://reader:pw=1@one:5432/db?a=b', 'postgres://reader:pw@two/db'];

describe('the replicas in a text', () => {
  it('are one URL, which is called replica', () => {
    expect(replicasIn(one)).toEqual([{ name: 'replica', url: one }]);
  });

  it('are several, numbered where they are not named', () => {
    expect(replicasIn(` ${one}\n  paris=${two}  ${one}x `)).toEqual([
      { name: 'replica-1', url: one },
      { name: 'paris', url: two },
      { name: 'replica-3', url: `${one}x` },
    ]);
  });

  it.each([
    ['nothing', ''],
    ['another protocol', 'mysql://db'],
    ['no host', 'postgresql://'],
    ['a name that is none', `Paris!=${two}`],
    ['a name without a URL', 'paris='],
    ['a comma between them', `${one},${two}`.replace('?a=b', '')],
    ['one name twice', `paris=${one} paris=${two}`],
    ['the name of another probe', `primary=${two}`],
  ])('are refused when there is %s', (_, text) => {
    expect(replicasIn(text)).toBeNull();
  });
});
