import { Injectable } from '@nestjs/common';
import { InvariantError, LoggableError } from '../../kernel/loggable-error.ts';
import { Transactional } from '../../transactions/transactional.ts';
import { Transactions } from '../../transactions/transactions.ts';
import { ChainRepository } from './chain.repository.ts';
import {
  beginning,
  type ChainItem,
  faultOf,
  type Head,
  headOf,
  keyOf,
  type Link,
  linksAfter,
  type Place,
} from './chain.ts';

/** How many items are sealed by one boundary, and read at once by whoever verifies. */
export const batchSize = 500;

/** A link that somebody has noted outside the database. */
export interface Noted {
  readonly seq: bigint;
  /** In hexadecimal digits. */
  readonly hash: string;
}

/** The first error in the chain. */
export interface Fault {
  /** The link; null where it is a transfer, or a settlement of one, without a link. */
  readonly seq: bigint | null;
  readonly transferId: string | null;
  /** A sentence whose subject is the link or the transfer. */
  readonly what: string;
}

export interface Verification {
  /** How many links are right, from the first on, and the hash of the last of them. */
  readonly head: Head;
  readonly fault: Fault | null;
  /** Transfers and settlements behind the last right link that are not sealed yet. */
  readonly unsealed: bigint;
}

/** This server gives out transaction ids again that the chain has seen: it was filled from a dump. docs/ledger.md says what to do. */
export class ChainAheadError extends LoggableError {
  override readonly name = 'ChainAheadError';
  constructor(last: bigint, horizon: bigint) {
    super(
      `The chain has sealed transaction ${last}, and this server has only come to ${horizon}: what is stored now would not be sealed. ` +
        'See "After a restore" in docs/ledger.md.',
    );
  }
}

@Injectable()
export class ChainService {
  constructor(
    private readonly transactions: Transactions,
    private readonly chain: ChainRepository,
  ) {}

  /**
   * Seals the next items that can be, at most {@link batchSize}; gives their number, 0 also when somebody else is sealing.
   * Locks no row that others write. Throws ChainAheadError.
   */
  @Transactional()
  async seal(): Promise<number> {
    if (!(await this.chain.takeTurn())) return 0;
    // A separate statement: its snapshot is newer than the advisory lock, so it sees what the previous holder committed.
    const head = (await this.chain.head()) ?? beginning;
    const places = await this.chain.sealable(head.place, batchSize);
    if (places.length === 0) return this.nothingToSeal(head);
    const items = await this.chain.read(places);
    await this.chain.append(
      linksAfter(
        head,
        places.map((place) => items.get(keyOf(place)) ?? vanished(place)),
      ),
    );
    return places.length;
  }

  /** The end of the chain. */
  async describe() {
    const head = await this.chain.head();
    return {
      length: Number(head?.seq ?? 0n),
      head: hex((head ?? beginning).hash),
      sealedUpTo: head?.place?.transferId ?? null,
      sealedAt: head?.sealedAt ?? null,
    };
  }

  /**
   * Computes the whole chain again from the tables, in one snapshot, a batch at a time, and compares; stops at the first fault.
   * With `noted`, that link must be as it was noted: only so a chain that was rewritten from some link on to its end is found.
   */
  verify(noted: Noted | null = null): Promise<Verification> {
    return this.transactions.run(
      { name: 'ChainService.verify', readOnly: true, isolation: 'repeatable-read', timeout: '86400s' },
      () => this.verifyIn(noted),
    );
  }

  /** Says what keeps this server from sealing what is stored from now on; null when nothing does. */
  findAhead(): Promise<ChainAheadError | null> {
    return this.transactions.run(
      { name: 'ChainService.findAhead', readOnly: true, isolation: 'repeatable-read' },
      async () => this.aheadOf((await this.chain.head()) ?? beginning),
    );
  }

  private async nothingToSeal(head: Head): Promise<0> {
    const ahead = await this.aheadOf(head);
    if (ahead !== null) throw ahead;
    return 0;
  }

  private async aheadOf({ place }: Head): Promise<ChainAheadError | null> {
    const horizon = await this.chain.horizon();
    return place !== null && place.txid >= horizon ? new ChainAheadError(place.txid, horizon) : null;
  }

  private async verifyIn(noted: Noted | null): Promise<Verification> {
    const { head, fault } = await this.walk(noted);
    return {
      head,
      fault: fault ?? (await this.findMissing(head, noted)),
      unsealed: await this.chain.countBehind(head.place),
    };
  }

  /** To the end of the chain, or to the last link that is right. */
  private async walk(noted: Noted | null): Promise<Walked> {
    let walked: Walked = { head: beginning, fault: null };
    for (let isAtEnd = false; !isAtEnd && walked.fault === null;) {
      const links = await this.chain.list(walked.head.seq, batchSize);
      walked = walkOn(walked.head, links, await this.chain.read(links), noted);
      isAtEnd = links.length < batchSize;
    }
    return walked;
  }

  private async findMissing(head: Head, noted: Noted | null): Promise<Fault | null> {
    if (noted !== null && noted.seq > head.seq)
      return { seq: head.seq + 1n, transferId: null, what: `is missing: link ${noted.seq} was noted` };
    const missing = head.place === null ? null : await this.chain.findUnsealed(head.place);
    return missing === null ? null : { seq: null, transferId: missing.transferId, what: unlinked[missing.item] };
  }
}

export const hex = (hash: Uint8Array): string => Buffer.from(hash).toString('hex');

const unlinked = {
  transfer: 'stands before the end of the chain and is in no link: it was added later, or its link was removed',
  settlement:
    'has a settlement before the end of the chain that is in no link: it was added later, or its link was removed',
} as const;

/** How many links are correct, and the first error. */
type Walked = Pick<Verification, 'head' | 'fault'>;

function walkOn(
  from: Head,
  links: readonly Link[],
  items: ReadonlyMap<string, ChainItem>,
  noted: Noted | null,
): Walked {
  let head = from;
  for (const link of links) {
    const what = faultOf(head, link, items.get(keyOf(link)) ?? null) ?? unlike(noted, link);
    // If a link is missing, the link that was read belongs to a later item.
    const transferId = link.seq === head.seq + 1n ? link.transferId : null;
    if (what !== null) return { head, fault: { seq: head.seq + 1n, transferId, what } };
    head = headOf(link);
  }
  return { head, fault: null };
}

const unlike = (noted: Noted | null, { seq, hash }: Link): string | null =>
  noted?.seq === seq && noted.hash !== hex(hash) ? 'is not the one that was noted: the chain was rewritten' : null;

// Read by two statements of one boundary; rows of neither can be deleted in between.
function vanished({ item, transferId }: Place): ChainItem {
  throw new InvariantError(`The ${item} ${transferId} is gone.`);
}
