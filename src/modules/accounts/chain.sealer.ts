import {
  type BeforeApplicationShutdown,
  Inject,
  Injectable,
  Logger,
  type OnApplicationBootstrap,
} from '@nestjs/common';
import { type Config, LedgerConfig } from '../../config/config.ts';
import { unitOfWork } from '../../transactions/unit-of-work.ts';
import { batchSize, ChainService } from './chain.service.ts';

/**
 * Seals what has been stored, behind the writers, again and again. Every instance does; whose turn it is not does nothing.
 * A failure is told once, and tried again with the next turn.
 */
@Injectable()
export class ChainSealer implements OnApplicationBootstrap, BeforeApplicationShutdown {
  private readonly logger = new Logger(ChainSealer.name);
  private timer: NodeJS.Timeout | null = null;
  private sealing: Promise<void> = Promise.resolve();
  private isStopped = false;
  private hasFailed = false;

  constructor(
    private readonly chain: ChainService,
    @Inject(LedgerConfig.KEY) private readonly config: Config['ledger'],
  ) {}

  onApplicationBootstrap(): void {
    if (this.config.sealIntervalMs > 0) this.waitForTurn();
  }

  /** Ends with the batch in hand. What is stored after it is sealed by another instance, or by the next start. */
  async beforeApplicationShutdown(): Promise<void> {
    this.isStopped = true;
    if (this.timer !== null) clearTimeout(this.timer);
    await this.sealing;
  }

  private waitForTurn(): void {
    if (this.isStopped) return;
    this.timer = setTimeout(() => {
      this.sealing = this.sealAll().finally(() => this.waitForTurn());
    }, this.config.sealIntervalMs);
    // It is no reason for the process to go on.
    this.timer.unref();
  }

  // Each batch is whole by itself.
  private sealBatch(): Promise<number> {
    return unitOfWork('ChainSealer', () => this.chain.seal());
  }

  private async sealAll(): Promise<void> {
    try {
      while (!this.isStopped && (await this.sealBatch()) === batchSize);
      this.hasFailed = false;
    } catch (error) {
      if (!this.hasFailed) this.logger.warn({ err: error }, 'the chain of transfers could not be continued');
      this.hasFailed = true;
    }
  }
}
