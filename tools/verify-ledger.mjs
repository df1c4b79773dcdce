// npm run ledger:verify [-- <length>:<head>]: computes the hash chain over transfers and settlements again and compares. With the length and the head
// of an earlier run, or of GET /v1/ledger/chain, also whether that link is still the same.
// Exit code 0: all links are right; 1: one is not; 2: it could not be found out.
import { showId } from '../dist/src/kernel/ids.js';
import { ChainService, hex } from '../dist/src/modules/accounts/chain.service.js';
import { say, withApp } from './with-app.mjs';

// Standard output is the report's.
process.env.LOG_LEVEL ??= 'error';
const [noted] = process.argv.slice(2);
const [, length, head] = /^(\d{1,18}):([0-9a-f]{64})$/.exec(noted ?? '') ?? [];

if (noted !== undefined && length === undefined) {
  say('Usage: npm run ledger:verify [-- <length>:<head>], the head in 64 hexadecimal digits.');
  process.exitCode = 2;
} else {
  await withApp(async (app) => {
    const earlier = length === undefined ? null : { seq: BigInt(length), hash: head };
    report(await app.get(ChainService).verify(earlier));
  }, 2);
}

/** @param {import('../src/modules/accounts/chain.service.ts').Verification} verification */
function report({ head: last, fault, unsealed }) {
  const lines = [`${last.seq} ${last.seq === 1n ? 'link is' : 'links are'} right. Head: ${last.seq}:${hex(last.hash)}`];
  if (fault !== null) lines.unshift(`${subjectOf(fault)} ${fault.what}.`);
  lines.push(
    `${unsealed} ${unsealed === 1n ? 'item is' : 'items are'} not sealed ${fault === null ? 'yet' : 'by them'}.`,
  );
  process.stdout.write(`${lines.join('\n')}\n`);
  process.exitCode = fault === null ? 0 : 1;
}

/** @param {import('../src/modules/accounts/chain.service.ts').Fault} fault */
function subjectOf({ seq, transferId }) {
  const transfer = transferId === null ? null : showId('tr', transferId);
  if (seq === null) return `Transfer ${transfer}`;
  return transfer === null ? `Link ${seq}` : `Link ${seq}, of transfer ${transfer},`;
}
