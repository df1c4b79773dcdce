// npm run restore:check [-- <length>:<head>]: what must hold of a restored database before the service runs on it. Checks the books on the primary,
// verifies the hash chain, with a link that was noted outside the database, and asks whether the server can go on sealing.
// Exit code 0: all is right; 1: something is not; 2: it could not be found out.
import { ChainService } from '../dist/src/modules/audit/chain.service.js';
import { reconcile } from '../dist/src/reconciliation/reconcile.js';
import { describeReconciliation } from '../dist/src/reconciliation/report.js';
import { describeChain, notedIn } from './chain-report.mjs';
import { say, withApp } from './with-app.mjs';

// Standard output is the report's.
process.env.LOG_LEVEL ??= 'error';
const [text] = process.argv.slice(2);
const noted = text === undefined ? null : notedIn(text);

if (text !== undefined && noted === null) {
  say('Usage: npm run restore:check [-- <length>:<head>], the head in 64 hexadecimal digits.');
  process.exitCode = 2;
} else {
  await withApp(async (app, { config }) => {
    const chain = app.get(ChainService);
    const reconciliation = await reconcile(config.database.writeUrl);
    const verification = await chain.verify(noted);
    const ahead = await chain.findAhead();
    const lines = [describeReconciliation(reconciliation), describeChain(verification)];
    if (ahead !== null) lines.push(ahead.message);
    process.stdout.write(`${lines.join('\n')}\n`);
    process.exitCode = reconciliation.found === 0 && verification.fault === null && ahead === null ? 0 : 1;
  }, 2);
}
