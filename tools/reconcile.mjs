// npm run reconcile: checks all the books in one snapshot. Exit code 0: they are right; 1: they are not; 2: it could not be found out.
// On the replica of DATABASE_READ_URL (the first, if there are several), else on DATABASE_WRITE_URL, else on the embedded database.
import { replicasIn } from '../dist/src/config/replicas.js';
import { provisionBeside } from '../dist/src/provision.js';
import { sayFailure } from '../dist/src/operations/describe-error.js';
import { reconcile } from '../dist/src/reconciliation/reconcile.js';
import { describeReconciliation } from '../dist/src/reconciliation/report.js';

/** @param {string} line */
const say = (line) => void process.stderr.write(`${line}\n`);

try {
  const provided = await provisionBeside((line) => say(`  ${line}`));
  try {
    const { readUrl, writeUrl } = provided.config.database;
    const [replica] = readUrl === null ? [] : (replicasIn(readUrl) ?? []);
    const reconciliation = await reconcile(replica?.url ?? writeUrl);
    process.stdout.write(`${describeReconciliation(reconciliation)}\n`);
    process.exitCode = reconciliation.found === 0 ? 0 : 1;
  } finally {
    await provided.stop();
  }
} catch (error) {
  say(`The books could not be checked: ${sayFailure(error)}`);
  process.exitCode = 2;
}
