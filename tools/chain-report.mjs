// What the commands that verify the hash chain have in common: the link that somebody has noted, and the report.
import { showId } from '../dist/src/kernel/ids.js';
import { hex } from '../dist/src/modules/audit/chain.service.js';

/** Of "<length>:<head>"; null where that is not its form. @param {string} text */
export function notedIn(text) {
  const [, length, hash] = /^(\d{1,18}):([0-9a-f]{64})$/.exec(text) ?? [];
  return length === undefined || hash === undefined ? null : { seq: BigInt(length), hash };
}

/** @param {import('../src/modules/audit/chain.service.ts').Verification} verification */
export function describeChain({ head: last, fault, unsealed }) {
  const lines = [`${last.seq} ${last.seq === 1n ? 'link is' : 'links are'} right. Head: ${last.seq}:${hex(last.hash)}`];
  if (fault !== null) lines.unshift(`${subjectOf(fault)} ${fault.what}.`);
  lines.push(
    `${unsealed} ${unsealed === 1n ? 'item is' : 'items are'} not sealed ${fault === null ? 'yet' : 'by them'}.`,
  );
  return lines.join('\n');
}

/** @param {import('../src/modules/audit/chain.service.ts').Fault} fault */
function subjectOf({ seq, transferId }) {
  const transfer = transferId === null ? null : showId('tr', transferId);
  if (seq === null) return `Transfer ${transfer}`;
  return transfer === null ? `Link ${seq}` : `Link ${seq}, of transfer ${transfer},`;
}
