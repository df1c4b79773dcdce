import { Injectable, type Type } from '@nestjs/common';
import { Transactional } from '../../src/transactions/transactional.ts';

/** A service with one boundary, `Shop.sell`. Options that the types refuse must be refused to those who get round the types. */
export function serviceWith(options: object): Type {
  @Injectable()
  class Shop {
    @Transactional(options)
    async sell() {
      return 0;
    }
  }
  return Shop;
}
