// npm run reconcile: checks all the books in one snapshot. Exit code 0: they are right; 1: they are not; 2: it could not be found out.
// On the replica of DATABASE_READ_URL (the first, if there are several), else on DATABASE_WRITE_URL, else on the embedded database. Where
// the replica cannot be asked the primary is.
// The modules bring the checks.
import '../dist/src/app.module.js';
import { replicasIn } from '../dist/src/config/replicas.js';
import { ConnectError } from '../dist/src/transactions/wire/errors.js';
import { SchemaVersionError } from '../dist/src/database/schema-version.js';
import { provisionBeside } from '../dist/src/provision.js';
import { sayFailure } from '../dist/src/operations/describe-error.js';
import { reconcile } from '../dist/src/reconciliation/reconcile.js';
import { describeReconciliation } from '../dist/src/reconciliation/report.js';

/** @param {string} line */
const say = (line) => void process.stderr.write(`${line}\n`);

/**
 * @param {string} replicaUrl
 * @param {string} primaryUrl
 */
async function onReplica(replicaUrl, primaryUrl) {
  try {
    return await reconcile(replicaUrl);
  } catch (error) {
    // Its tables are those of the primary: to ask that says nothing else.
    if (error instanceof SchemaVersionError) throw error;
    const { message } = /** @type {Error} */ (error instanceof ConnectError ? error.cause : error);
    say(`The replica cannot be asked (${message || String(error)}): the primary is.`);
    return reconcile(primaryUrl);
  }
}

try {
  const provided = await provisionBeside((line) => say(`  ${line}`));
  try {
    const { readUrl, writeUrl } = provided.config.database;
    const [replica] = readUrl === null ? [] : (replicasIn(readUrl) ?? []);
    const reconciliation = await (replica === undefined ? reconcile(writeUrl) : onReplica(replica.url, writeUrl));
    process.stdout.write(`${describeReconciliation(reconciliation)}\n`);
    process.exitCode = reconciliation.found === 0 ? 0 : 1;
  } finally {
    await provided.stop();
  }
} catch (error) {
  say(`The books could not be checked: ${sayFailure(error)}`);
  process.exitCode = 2;
}
