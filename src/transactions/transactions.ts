import { Inject, Injectable } from '@nestjs/common';
import { Propagation as HostPropagation, TransactionHost } from '@nestjs-cls/transactional';
import { ClsService } from 'nestjs-cls';
import { type Config, DatabaseConfig } from '../config/config.ts';
import type { Adapter, BeginOptions } from './adapter.ts';
import { type Boundary, milliseconds, planBoundary, type TransactionOptions } from './boundary.ts';
import { TransactionRequiredError } from './errors.ts';

const BOUNDARY = Symbol('boundary');
type Work<T> = () => Promise<T>;

/** Draws boundaries where the decorator does not fit, and knows the one that is running. */
@Injectable()
export class Transactions {
  constructor(
    private readonly host: TransactionHost<Adapter>,
    private readonly cls: ClsService,
    @Inject(DatabaseConfig.KEY) private readonly config: Config['database'],
  ) {}

  /**
   * Runs the work in a boundary: all of it is stored, or, when it throws, nothing.
   * Throws TransactionJoinError, TransactionRequiredError, CommitOutcomeUnknownError, and whatever the work throws.
   */
  async run<T>(options: TransactionOptions, work: Work<T>): Promise<T> {
    switch (planBoundary(this.running(), options)) {
      case 'join':
        return work();
      case 'suspend':
        return this.host.withoutTransaction(work);
      case 'nest':
        return this.host.withTransaction(HostPropagation.Nested, work);
      case 'begin':
        return this.begin(options, work);
    }
  }

  /** The running boundary; null outside. */
  running(): Boundary | null {
    return this.host.isTransactionActive() ? this.cls.get<Boundary>(BOUNDARY) : null;
  }

  /** For what makes sense inside a boundary only, such as a row lock. Throws TransactionRequiredError. */
  demand(what: string): void {
    if (!this.host.isTransactionActive())
      throw new TransactionRequiredError(`${what} must run inside a boundary; call it from a @Transactional() method.`);
  }

  private begin<T>(options: TransactionOptions, work: Work<T>): Promise<T> {
    const timeout = milliseconds(options.timeout ?? this.config.transactionTimeoutMs);
    const name = options.name ?? 'a boundary';
    const boundary: Boundary = {
      name,
      readOnly: options.readOnly ?? false,
      isolation: options.isolation ?? 'read-committed',
      endsAt: performance.now() + timeout,
    };
    const begin: BeginOptions = {
      name,
      timeout,
      readOnly: boundary.readOnly,
      isolation: options.isolation ?? null,
      poolWaitMs: this.config.poolWaitMs,
    };
    // The host would join for `Required`; whether to join is decided by now.
    return this.host.withTransaction(HostPropagation.RequiresNew, begin, () => {
      this.cls.set(BOUNDARY, boundary);
      return work();
    });
  }
}
