import { Injectable } from '@nestjs/common';
import { newId } from '../../kernel/ids.ts';
import { InvariantError } from '../../kernel/loggable-error.ts';
import { afterCommit } from '../../transactions/hooks.ts';
import { AccountsRepository } from './accounts.repository.ts';

export type House = 'cash' | 'sales';

/** The accounts of the house, one of each kind for a currency, made when the currency is first used. */
@Injectable()
export class HouseAccounts {
  private readonly known = new Map<string, string>();

  constructor(private readonly accounts: AccountsRepository) {}

  /** Its id. A new account is created in the running boundary; of concurrent callers, one creates it. */
  async find(house: House, currency: string): Promise<string> {
    const key = `${house} ${currency}`;
    const known = this.known.get(key);
    if (known !== undefined) return known;
    const id = (await this.accounts.findHouse(house, currency)) ?? (await this.open(house, currency));
    this.remember(key, id);
    return id;
  }

  /** The ids by currency, of those that there are. Opens none: what a refused command of a batch had opened would stay. */
  async list(house: House, currencies: Iterable<string>): Promise<Map<string, string>> {
    const ids = new Map<string, string>();
    for (const currency of new Set(currencies)) {
      const id = await this.existing(house, currency);
      if (id !== null) ids.set(currency, id);
    }
    return ids;
  }

  private async existing(house: House, currency: string): Promise<string | null> {
    const key = `${house} ${currency}`;
    const id = this.known.get(key) ?? (await this.accounts.findHouse(house, currency));
    if (id !== null) this.remember(key, id);
    return id;
  }

  // An account that a boundary created and rolled back must not be cached.
  private remember(key: string, id: string): void {
    if (this.known.has(key)) return;
    afterCommit(() => {
      this.known.set(key, id);
    });
  }

  private async open(house: House, currency: string): Promise<string> {
    await this.accounts.createHouse({ id: newId(), house, currency, name: names[house] });
    const id = await this.accounts.findHouse(house, currency);
    if (id === null) throw new InvariantError('An account of the house is gone that has just been there.');
    return id;
  }
}

const names: Readonly<Record<House, string>> = { cash: 'Cash', sales: 'Sales' };
