import { Injectable } from '@nestjs/common';
import { InvariantError } from '../../kernel/loggable-error.ts';
import { newId } from '../../kernel/ids.ts';
import { afterCommit } from '../../transactions/hooks.ts';
import { AccountsRepository } from './accounts.repository.ts';

export type House = 'cash' | 'sales';

/** The accounts of the house, one of each kind for a currency, made when the currency is first used. */
@Injectable()
export class HouseAccounts {
  private readonly known = new Map<string, string>();

  constructor(private readonly accounts: AccountsRepository) {}

  /** Its id. One that is made belongs to the running boundary, and is made by one of all who do so at once. */
  async find(house: House, currency: string): Promise<string> {
    const key = `${house} ${currency}`;
    const known = this.known.get(key);
    if (known !== undefined) return known;
    const id = (await this.accounts.findHouse(house, currency)) ?? (await this.open(house, currency));
    // What a boundary has made and takes back must not be remembered.
    afterCommit(() => {
      this.known.set(key, id);
    });
    return id;
  }

  private async open(house: House, currency: string): Promise<string> {
    await this.accounts.createHouse({ id: newId(), house, currency, name: names[house] });
    const id = await this.accounts.findHouse(house, currency);
    if (id === null) throw new InvariantError('An account of the house is gone that has just been there.');
    return id;
  }
}

const names: Readonly<Record<House, string>> = { cash: 'Cash', sales: 'Sales' };
