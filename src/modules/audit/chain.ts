import { createHash } from 'node:crypto';

/** One side of a transfer, as it was stored. Amounts in minor units. */
export interface SealedEntry {
  readonly accountId: string;
  readonly seq: number;
  readonly amount: bigint;
  readonly balanceAfter: bigint;
  readonly createdAt: Date;
}

/** Where something stands in the order of the chain: by transaction, and within one by kind and id. */
export interface Place {
  readonly txid: bigint;
  readonly item: 'transfer' | 'settlement';
  /** The transfer, or the one that was settled. */
  readonly transferId: string;
}

/** A transfer as it was made. What becomes of a pending one is not in it, and no entries. */
export interface SealedTransfer extends Place {
  readonly item: 'transfer';
  readonly kind: string;
  readonly fromAccountId: string;
  readonly toAccountId: string;
  readonly amount: bigint;
  readonly currency: string;
  readonly note: string | null;
  readonly expiresAt: Date | null;
  readonly reversesId: string | null;
  readonly reversalSeq: number | null;
  readonly reversedTotal: bigint | null;
  readonly createdById: string;
  readonly createdAt: Date;
  readonly entries: readonly SealedEntry[];
}

/** What became of a pending transfer, with the entries that it has since. */
export interface SealedSettlement extends Place {
  readonly item: 'settlement';
  readonly outcome: string;
  readonly amount: bigint | null;
  readonly createdById: string | null;
  readonly createdAt: Date;
  readonly entries: readonly SealedEntry[];
}

/** What a link seals. */
export type ChainItem = SealedTransfer | SealedSettlement;

/** The end of the chain, or of a part of it. */
export interface Head {
  /** How many links there are. */
  readonly seq: bigint;
  readonly hash: Uint8Array;
  /** Of the newest link; null in an empty chain. */
  readonly place: Place | null;
}

export interface Link extends Place {
  readonly seq: bigint;
  readonly hash: Uint8Array<ArrayBuffer>;
}

const sha256 = (...parts: (string | Uint8Array)[]): Uint8Array<ArrayBuffer> => {
  const hash = createHash('sha256');
  for (const part of parts) hash.update(part);
  return new Uint8Array(hash.digest());
};

/** What the first link continues: the SHA-256 of the name of this form. Another form would begin another chain. */
export const beginning: Head = { seq: 0n, hash: sha256('holdfast ledger chain 1'), place: null };

/**
 * What of an item is sealed: a JSON array without white space, in UTF-8, whose members are texts, null, or arrays of them.
 * `["transfer", txid, id, kind, from account, to account, amount, currency, note, expires at, reverses, reversal seq, reversed total,
 * created by, created at, entries]`, with the entries of one that was posted at once, and none of one that was pending; and for what became
 * of that `["settlement", txid, transfer id, outcome, amount, created by, created at, entries]`, with all its entries. Each entry is
 * `[account, seq, amount, balance after, created at]`, in the order of their accounts' ids. Numbers are decimal, amounts in minor units, ids
 * UUIDs in lower case, times RFC 3339 in UTC with milliseconds. All that never changes of an item is in it, and nothing that may.
 */
export function canonicalBytes(item: ChainItem): Uint8Array {
  const own = item.item === 'transfer' ? ofTransfer(item) : ofSettlement(item);
  const entries = [...item.entries].sort((one, other) => (one.accountId < other.accountId ? -1 : 1));
  const members = [
    item.item,
    String(item.txid),
    item.transferId,
    ...own,
    item.createdById,
    item.createdAt.toISOString(),
    entries.map(({ accountId, seq, amount, balanceAfter, createdAt }) => [
      accountId,
      String(seq),
      String(amount),
      String(balanceAfter),
      createdAt.toISOString(),
    ]),
  ];
  return Buffer.from(JSON.stringify(members), 'utf8');
}

const ofTransfer = (transfer: SealedTransfer): (string | null)[] => [
  transfer.kind,
  transfer.fromAccountId,
  transfer.toAccountId,
  String(transfer.amount),
  transfer.currency,
  transfer.note,
  transfer.expiresAt?.toISOString() ?? null,
  transfer.reversesId,
  transfer.reversalSeq?.toString() ?? null,
  transfer.reversedTotal?.toString() ?? null,
];

const ofSettlement = ({ outcome, amount }: SealedSettlement): (string | null)[] => [
  outcome,
  amount?.toString() ?? null,
];

/** The link that seals the item behind this head: its hash is SHA-256 of the hash before and the item's canonical bytes. */
export const linkAfter = (head: Head, item: ChainItem): Link => ({
  seq: head.seq + 1n,
  item: item.item,
  transferId: item.transferId,
  txid: item.txid,
  hash: sha256(head.hash, canonicalBytes(item)),
});

/** The links that seal the items, in their order. */
export function linksAfter(head: Head, items: readonly ChainItem[]): Link[] {
  const links: Link[] = [];
  for (const item of items) {
    const last = links.at(-1);
    links.push(linkAfter(last === undefined ? head : headOf(last), item));
  }
  return links;
}

/** The head of a chain that ends with this link. */
export const headOf = (link: Link): Head => ({ seq: link.seq, hash: link.hash, place: link });

/** What an item is known by. */
export const keyOf = ({ item, transferId }: Place): string => `${item} ${transferId}`;

/** Whether the first stands before the second in the order of the chain. */
export function isBefore(one: Place, other: Place): boolean {
  if (one.txid !== other.txid) return one.txid < other.txid;
  return one.item === other.item ? one.transferId < other.transferId : one.item < other.item;
}

/**
 * What is wrong with a link that stands behind this head, as a sentence; null when nothing is. `item` is what the tables hold of it now, null
 * for nothing. A wrong hash does not tell who was changed: the item, its entries, the link, or one before it whose hash was made to fit.
 */
export function faultOf(head: Head, link: Link, item: ChainItem | null): string | null {
  if (link.seq !== head.seq + 1n) return `is missing: the next one there is ${link.seq}`;
  if (item === null) return `seals a ${link.item} that is not there any more`;
  if (item.txid !== link.txid) return `says another transaction than its ${link.item}`;
  if (head.place !== null && !isBefore(head.place, link)) return 'does not stand in the order of the transactions';
  return Buffer.from(linkAfter(head, item).hash).equals(link.hash)
    ? null
    : `does not fit: the ${link.item}, its entries or the link were changed`;
}
