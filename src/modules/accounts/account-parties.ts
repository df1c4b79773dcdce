import { Injectable } from '@nestjs/common';
import { LRUCache } from 'lru-cache';
import type { Party } from './account.ts';
import { AccountsRepository } from './accounts.repository.ts';
import type { Parties } from './parties.ts';

const mostRemembered = 100_000;

/**
 * Whose accounts are, and in which currency: asked without a lock, before anything is locked. It never changes, so what was seen is
 * remembered, of the accounts that were used last.
 */
@Injectable()
export class AccountParties {
  private readonly known = new LRUCache<string, Party>({ max: mostRemembered });

  constructor(private readonly accounts: AccountsRepository) {}

  /** Those of the accounts that there are. */
  async find(ids: readonly string[]): Promise<Parties> {
    const wanted = [...new Set(ids)];
    const parties = new Map<string, Party>();
    for (const id of wanted) {
      const party = this.known.get(id);
      if (party) parties.set(id, party);
    }
    const unknown = wanted.filter((id) => !parties.has(id));
    if (unknown.length === 0) return parties;
    for (const party of await this.accounts.listParties(unknown)) {
      this.known.set(party.id, party);
      parties.set(party.id, party);
    }
    return parties;
  }
}
