// npm run ledger:verify [-- <length>:<head>]: computes the hash chain over transfers and settlements again and compares. With the length and the head
// of an earlier run, or of GET /v1/ledger/chain, also whether that link is still the same.
// Exit code 0: all links are right; 1: one is not; 2: it could not be found out.
import { ChainService } from '../dist/src/modules/audit/chain.service.js';
import { describeChain, notedIn } from './chain-report.mjs';
import { say, withApp } from './with-app.mjs';

// Standard output is the report's.
process.env.LOG_LEVEL ??= 'error';
const [text] = process.argv.slice(2);
const noted = text === undefined ? null : notedIn(text);

if (text !== undefined && noted === null) {
  say('Usage: npm run ledger:verify [-- <length>:<head>], the head in 64 hexadecimal digits.');
  process.exitCode = 2;
} else {
  await withApp(async (app) => {
    const verification = await app.get(ChainService).verify(noted);
    process.stdout.write(`${describeChain(verification)}\n`);
    process.exitCode = verification.fault === null ? 0 : 1;
  }, 2);
}
