import { Module } from '@nestjs/common';
import { AuditController } from './audit.controller.ts';
import { ChainRepository } from './chain.repository.ts';
import { ChainSealer } from './chain.sealer.ts';
import { ChainService } from './chain.service.ts';
import { TrialBalanceRepository } from './trial-balance.repository.ts';
import { TrialBalanceService } from './trial-balance.service.ts';

/** What an auditor asks of the ledger: whether it balances, and whether what was sealed is as it was. */
@Module({
  controllers: [AuditController],
  providers: [TrialBalanceService, TrialBalanceRepository, ChainService, ChainRepository, ChainSealer],
})
export class AuditModule {}
