import { Controller, Get } from '@nestjs/common';
import { OperatorsOnly, Returns } from '../../http/route.ts';
import { ChainView, TrialBalanceView } from './audit.schema.ts';
import { ChainService } from './chain.service.ts';
import { TrialBalanceService } from './trial-balance.service.ts';

@Controller('v1/ledger')
export class AuditController {
  constructor(
    private readonly trialBalances: TrialBalanceService,
    private readonly chain: ChainService,
  ) {}

  @Get('trial-balance')
  @OperatorsOnly()
  @Returns(200, TrialBalanceView)
  getTrialBalance() {
    return this.trialBalances.get();
  }

  @Get('chain')
  @OperatorsOnly()
  @Returns(200, ChainView)
  getChain() {
    return this.chain.describe();
  }
}
