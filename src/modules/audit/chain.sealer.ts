import { type BeforeApplicationShutdown, Inject, Injectable, type OnApplicationBootstrap } from '@nestjs/common';
import type { Config } from '../../config/config.ts';
import { LedgerConfig } from '../../config/slices.ts';
import { PeriodicJob } from '../../operations/periodic-job.ts';
import { unitOfWork } from '../../transactions/unit-of-work.ts';
import { batchSize, ChainService } from './chain.service.ts';

/** Seals what has been stored, behind the writers, again and again. Every instance does; whose turn it is not does nothing. */
@Injectable()
export class ChainSealer implements OnApplicationBootstrap, BeforeApplicationShutdown {
  private readonly job = new PeriodicJob(
    ChainSealer.name,
    () => this.sealAll(),
    'the chain of transfers could not be continued',
  );

  constructor(
    private readonly chain: ChainService,
    @Inject(LedgerConfig.KEY) private readonly config: Config['ledger'],
  ) {}

  onApplicationBootstrap(): void {
    if (this.config.sealIntervalMs > 0) this.job.start(this.config.sealIntervalMs);
  }

  /** Ends with the batch in hand. What is stored after it is sealed by another instance, or by the next start. */
  async beforeApplicationShutdown(): Promise<void> {
    await this.job.stop();
  }

  // Each batch is whole by itself.
  private async sealAll(): Promise<void> {
    while (!this.job.isStopped && (await unitOfWork(ChainSealer.name, () => this.chain.seal())) === batchSize);
  }
}
