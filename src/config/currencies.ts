import { Inject, Injectable } from '@nestjs/common';
import type { Config } from './config.ts';
import { ShopConfig } from './slices.ts';
import { currencyProblems } from './currency.problems.ts';

/** In which currencies the shop opens accounts and sets prices. What there is in another one stays as it is. */
@Injectable()
export class Currencies {
  constructor(@Inject(ShopConfig.KEY) private readonly config: Config['shop']) {}

  /** Of an account for which none was named. */
  get first(): string {
    return this.config.currencies?.[0] ?? 'EUR';
  }

  /** Throws currency-not-accepted, with the place in the body. */
  demand(currency: string, pointer: string): void {
    if (this.config.currencies === null || this.config.currencies.includes(currency)) return;
    const errors = [{ pointer, code: 'currency-not-accepted' }];
    throw currencyProblems.notAccepted(`The shop does not deal in ${currency}.`, { errors });
  }
}
