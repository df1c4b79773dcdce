const { existsSync } = require('node:fs');
const { join } = require('node:path');
const { default: Sequencer } = require('@jest/test-sequencer');

// Those that take longest, the longest first. Where Jest has no times of an earlier run, as in a fresh clone, it begins with the largest
// files, and size says little of them: a short one that takes long would begin late and go on alone while the other workers are idle.
const longest = [
  'recipes',
  'backup',
  'start',
  'prisma-tool',
  'reload',
  'embedded-cluster',
  'consistency',
  'flights',
  'published-credentials',
  'shutdown',
  'seed',
  'chain',
  'pages-meanwhile',
  'ledger-locks',
  'chain-commands',
  'idempotency-copies',
  'write-pairs',
  'input',
  'reservations',
  'phased',
  'reconcile',
  'lock-order',
  'backup-versions',
  'schema-version',
  'pages',
  'connections',
  'bank',
  'database-tls',
  'fill',
].map((name) => join('test', `${name}.test.ts`));

/** Begins with the longest files. Throws when one of them is gone, so that the list keeps true. */
module.exports = class LongestFirst extends Sequencer {
  constructor({ globalConfig: { rootDir } }) {
    super();
    const gone = longest.filter((file) => !existsSync(join(rootDir, file)));
    if (gone.length > 0) throw new Error(`test/support/sequencer.cjs names what does not exist: ${gone.join(', ')}.`);
    this.places = new Map(longest.map((file, place) => [join(rootDir, file), place]));
  }

  sort(tests) {
    const placeOf = ({ path }) => this.places.get(path) ?? longest.length;
    return super.sort(tests).sort((one, other) => placeOf(one) - placeOf(other));
  }
};
