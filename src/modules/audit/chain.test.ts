/** @servers any */
import { createHash } from 'node:crypto';
import {
  beginning,
  canonicalBytes,
  faultOf,
  headOf,
  isBefore,
  linkAfter,
  linksAfter,
  type SealedSettlement,
  type SealedTransfer,
} from './chain.ts';

const item: SealedTransfer = {
  item: 'transfer',
  txid: 815n,
  transferId: '01890a5d-ac96-774b-bcce-b302099a8057',
  kind: 'transfer',
  fromAccountId: '01890a5d-ac96-774b-bcce-b302099a80aa',
  toAccountId: '01890a5d-ac96-774b-bcce-b302099a80bb',
  amount: 1299n,
  currency: 'EUR',
  note: 'Lunch "à la carte"',
  expiresAt: null,
  reversesId: null,
  reversalSeq: null,
  reversedTotal: null,
  createdById: '01890a5d-ac96-774b-bcce-b302099a80cc',
  createdAt: new Date('2026-11-21T09:30:00.007Z'),
  entries: [
    {
      accountId: '01890a5d-ac96-774b-bcce-b302099a80bb',
      seq: 3,
      amount: 1299n,
      balanceAfter: 9007199254740991n,
      createdAt: new Date('2026-11-21T09:30:00.007Z'),
    },
    {
      accountId: '01890a5d-ac96-774b-bcce-b302099a80aa',
      seq: 12,
      amount: -1299n,
      balanceAfter: 1n,
      createdAt: new Date('2026-11-21T09:30:00.007Z'),
    },
  ],
};
const canonical =
  '["transfer","815","01890a5d-ac96-774b-bcce-b302099a8057","transfer","01890a5d-ac96-774b-bcce-b302099a80aa",' +
  '"01890a5d-ac96-774b-bcce-b302099a80bb","1299","EUR","Lunch \\"à la carte\\"",null,null,null,null,"01890a5d-ac96-774b-bcce-b302099a80cc",' +
  '"2026-11-21T09:30:00.007Z",[["01890a5d-ac96-774b-bcce-b302099a80aa","12","-1299","1","2026-11-21T09:30:00.007Z"],' +
  '["01890a5d-ac96-774b-bcce-b302099a80bb","3","1299","9007199254740991","2026-11-21T09:30:00.007Z"]]]';
const other: SealedTransfer = { ...item, txid: 816n, transferId: '01890a5d-ac96-774b-bcce-b302099a8058', note: null };

const settlement: SealedSettlement = {
  item: 'settlement',
  txid: 817n,
  transferId: item.transferId,
  outcome: 'posted',
  amount: 1200n,
  createdById: '01890a5d-ac96-774b-bcce-b302099a80cc',
  createdAt: new Date('2026-11-21T09:31:00.000Z'),
  entries: [{ ...item.entries[0]!, amount: 1200n }],
};
const nothing: SealedSettlement = { ...settlement, outcome: 'expired', amount: null, createdById: null, entries: [] };

const changesOfAnEntry = { seq: 4, amount: 1n, balanceAfter: 1n, accountId: item.transferId, createdAt: new Date(0) };

describe('a link', () => {
  it('seals the form that is written down, which others can compute', () => {
    expect(Buffer.from(canonicalBytes(item)).toString('utf8')).toBe(canonical);
    const first = createHash('sha256').update('holdfast ledger chain 1').digest();
    const expected = createHash('sha256').update(first).update(canonical, 'utf8').digest('hex');
    expect(Buffer.from(linkAfter(beginning, item).hash).toString('hex')).toBe(expected);
  });

  it.each([
    [
      settlement,
      '["settlement","817","01890a5d-ac96-774b-bcce-b302099a8057","posted","1200","01890a5d-ac96-774b-bcce-b302099a80cc",' +
        '"2026-11-21T09:31:00.000Z",[["01890a5d-ac96-774b-bcce-b302099a80bb","3","1200","9007199254740991","2026-11-21T09:30:00.007Z"]]]',
    ],
    [
      nothing,
      '["settlement","817","01890a5d-ac96-774b-bcce-b302099a8057","expired",null,null,"2026-11-21T09:31:00.000Z",[]]',
    ],
  ])('seals what became of a pending transfer', (sealed, text) => {
    expect(Buffer.from(canonicalBytes(sealed)).toString('utf8')).toBe(text);
    const link = linkAfter(beginning, settlement);
    expect(faultOf(beginning, link, settlement)).toBeNull();
    expect(faultOf(beginning, link, null)).toBe('seals a settlement that is not there any more');
    expect(faultOf(beginning, link, nothing)).toBe(
      'does not fit: the settlement, its entries or the link were changed',
    );
    // Of one transaction what became of a transfer stands first.
    expect(isBefore({ ...settlement, txid: item.txid }, item)).toBe(true);
  });

  it('continues the one before', () => {
    const [one, two] = linksAfter(beginning, [item, other]);
    expect([one, two]).toEqual([linkAfter(beginning, item), linkAfter(headOf(one!), other)]);
    expect([one!.seq, two!.seq]).toEqual([1n, 2n]);
    expect(two!.hash).not.toEqual(linkAfter(beginning, other).hash);
  });

  it.each<[string, Partial<SealedTransfer>]>([
    ['kind', { kind: 'deposit' }],
    ['amount', { amount: 1298n }],
    ['currency', { currency: 'USD' }],
    ['note', { note: null }],
    ['payer', { fromAccountId: other.transferId }],
    ['receiver', { toAccountId: other.transferId }],
    ['deadline', { expiresAt: new Date(0) }],
    ['reversed transfer', { reversesId: other.transferId }],
    ['number of a reversal', { reversalSeq: 1 }],
    ['reversed amount', { reversedTotal: 1n }],
    ['author', { createdById: other.transferId }],
    ['moment', { createdAt: new Date('2026-11-21T09:30:00.008Z') }],
    ['lack of entries', { entries: [] }],
    ...Object.entries(changesOfAnEntry).map(([member, value]): [string, Partial<SealedTransfer>] => [
      `${member} of an entry`,
      { entries: [{ ...item.entries[0]!, [member]: value }, item.entries[1]!] },
    ]),
  ])('does not fit another %s', (_, change) => {
    const link = linkAfter(beginning, item);
    expect(faultOf(beginning, link, item)).toBeNull();
    expect(faultOf(beginning, link, { ...item, ...change })).toBe(
      'does not fit: the transfer, its entries or the link were changed',
    );
  });

  it('stands in its place', () => {
    const [one, two] = linksAfter(beginning, [item, other]);
    const [swapped] = linksAfter(beginning, [other]);
    expect(faultOf(beginning, two!, other)).toBe('is missing: the next one there is 2');
    expect(faultOf(headOf(swapped!), linkAfter(headOf(swapped!), item), item)).toBe(
      'does not stand in the order of the transactions',
    );
    expect(faultOf(beginning, one!, null)).toBe('seals a transfer that is not there any more');
    expect(faultOf(beginning, one!, { ...item, txid: 1n })).toBe('says another transaction than its transfer');
    expect([isBefore(item, other), isBefore(other, item), isBefore(item, item)]).toEqual([true, false, false]);
    expect(isBefore({ ...item, txid: other.txid }, other)).toBe(true);
  });
});
