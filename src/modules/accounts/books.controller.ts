import { Controller, Get } from '@nestjs/common';
import { OperatorsOnly } from '../../http/principal.ts';
import { Returns } from '../../http/returns.ts';
import { ChainView, TrialBalanceView } from './books.schema.ts';
import { BooksService } from './books.service.ts';
import { ChainService } from './chain.service.ts';

@Controller('v1/ledger')
export class BooksController {
  constructor(
    private readonly books: BooksService,
    private readonly chain: ChainService,
  ) {}

  @Get('trial-balance')
  @OperatorsOnly()
  @Returns(200, TrialBalanceView)
  getTrialBalance() {
    return this.books.trialBalance();
  }

  @Get('chain')
  @OperatorsOnly()
  @Returns(200, ChainView)
  getChain() {
    return this.chain.describe();
  }
}
