// npm run db:fill [-- --users <number> …]: fills the database for development or a trial under load, by sets and by all rules of the database: what is
// asked for, less what an earlier fill has made. Exit code 0: filled; 1: not, and the next fill goes on from there; 2: a wrong call.
import { randomBytes } from 'node:crypto';
import { refuseForeignSchema } from '../dist/src/database/schema-version.js';
import { LoggableError } from '../dist/src/kernel/loggable-error.js';
import { hashNewPassword } from '../dist/src/modules/users/passwords.js';
import { sayFailure } from '../dist/src/operations/describe-error.js';
import { provisionBeside } from '../dist/src/provision.js';
import { ConnectError } from '../dist/src/transactions/wire/errors.js';
import { PlainClient } from '../dist/src/transactions/wire/plain-client.js';
import { fill } from './fill/fill.mts';
import { askedIn, CallError, kinds } from './fill/volume.mts';
import { readPassword } from './read-password.mjs';

/** @param {string} line */
const say = (line) => void process.stderr.write(`${line}\n`);
const shown = (/** @type {number} */ n) => n.toLocaleString('en');

class Refusal extends LoggableError {}

/** How often a kind that takes long is told of. */
const quietMs = 5000;
let toldAt = performance.now();

/**
 * @param {import('pg').Client} client
 * @param {import('./fill/volume.mts').Asked} asked
 */
async function fillBy(client, { volume, hasPassword }) {
  const owner = { email: 'customer@example.com', displayName: 'Customer' };
  const password = hasPassword ? await readPassword() : randomBytes(24).toString('base64url');
  const passwordHash = await hashNewPassword(password, owner);
  const added = await fill(client, {
    volume,
    passwordHash,
    onProgress: (kind, there) => {
      if (performance.now() - toldAt < quietMs) return;
      say(`  ${shown(there)} of ${shown(volume[kind])} ${kind}`);
      toldAt = performance.now();
    },
  });
  const all = kinds.filter((kind) => added[kind] > 0).map((kind) => `${shown(added[kind])} ${kind}`);
  say(all.length === 0 ? 'All of it was there already: nothing was added.' : `Added ${all.join(', ')}.`);
}

/** @param {import('./fill/volume.mts').Asked} asked */
async function run(asked) {
  const provided = await provisionBeside((line) => say(`  ${line}`));
  try {
    if (!provided.isPrivate && !asked.isForced)
      throw new Refusal(
        'What is written into the books stays there: with NODE_ENV=production, or a HOST that others reach, a database is filled with --force only.',
      );
    const client = new PlainClient(provided.config.database.writeUrl, { application_name: 'holdfast fill' });
    client.on('error', () => undefined);
    await client.connect().catch((error) => {
      throw new ConnectError(error);
    });
    try {
      await refuseForeignSchema(client);
      await fillBy(client, asked);
    } finally {
      await client.end().catch(() => undefined);
    }
  } finally {
    await provided.stop();
  }
}

try {
  await run(askedIn(process.argv.slice(2)));
} catch (error) {
  const isMiscalled = error instanceof CallError;
  say(isMiscalled ? error.message : `The database was not filled: ${sayFailure(error)}`);
  process.exitCode = isMiscalled ? 2 : 1;
}
