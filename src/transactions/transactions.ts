import { Inject, Injectable } from '@nestjs/common';
import { Propagation as HostPropagation, TransactionHost } from '@nestjs-cls/transactional';
import { ClsService } from 'nestjs-cls';
import { type Config, DatabaseConfig } from '../config/config.ts';
import type { Prisma } from '../database/generated/client.ts';
import type { Adapter, BeginOptions } from './adapter.ts';
import { type Boundary, milliseconds, planBoundary, type TransactionOptions } from './boundary.ts';
import { DetachedTransactionError } from './errors.ts';
import { retrying } from './retry.ts';
import { ReadRouter } from './read-router.ts';

const RUNNING = Symbol('boundary');
const defaultRetries = 5;
/** What the asynchronous context holds of the boundary it was made in. */
interface Running {
  readonly owner: Transactions;
  readonly boundary: Boundary;
  /** Its work has come to an end, and whoever still holds this context has outlived it. */
  isOver: boolean;
}
type Work<T> = () => Promise<T>;

/** Draws boundaries where the decorator does not fit, and knows the one that is running. */
@Injectable()
export class Transactions {
  constructor(
    private readonly host: TransactionHost<Adapter>,
    private readonly cls: ClsService,
    private readonly reads: ReadRouter,
    @Inject(DatabaseConfig.KEY) private readonly config: Config['database'],
  ) {}

  /**
   * Runs the work in a boundary: all of it is stored, or, when it throws, nothing.
   * Throws TransactionJoinError, TransactionRequiredError, TransactionConflictError, CommitOutcomeUnknownError,
   * DetachedTransactionError, and whatever the work throws.
   */
  async run<T>(options: TransactionOptions, work: Work<T>): Promise<T> {
    switch (planBoundary(this.running(), options)) {
      case 'join':
        return work();
      case 'suspend':
        return this.host.withoutTransaction(() => {
          this.cls.set(RUNNING, null);
          return work();
        });
      case 'nest':
        return this.host.withTransaction(HostPropagation.Nested, work);
      case 'begin':
        return this.begin(options, work);
    }
  }

  /**
   * The running boundary; null outside. That of another application in this process is not ours to join.
   * Throws DetachedTransactionError in work that has outlived its boundary: it would write outside it.
   */
  running(): Boundary | null {
    const running = this.cls.isActive() ? this.cls.get<Running | null>(RUNNING) : null;
    if (running?.owner !== this) return null;
    if (running.isOver) throw new DetachedTransactionError(running.boundary.name);
    return running.boundary;
  }

  /** The transaction of the running boundary, else the client that routes. */
  client(): Prisma.TransactionClient {
    return this.running() === null ? this.reads.routed : this.host.tx;
  }

  private begin<T>(options: TransactionOptions, work: Work<T>): Promise<T> {
    const name = options.name ?? 'a boundary';
    const endsAt = performance.now() + milliseconds(options.timeout ?? this.config.transactionTimeoutMs);
    // Inside another boundary a conflict is that one's to answer: it holds what this one would wait for.
    const retries = this.running() === null ? (options.retry ?? defaultRetries) : 0;
    return retrying({ name, retries, endsAt }, () => this.attempt(name, endsAt, options, work));
  }

  private attempt<T>(name: string, endsAt: number, options: TransactionOptions, work: Work<T>): Promise<T> {
    const isolation = options.isolation ?? 'read-committed';
    const boundary: Boundary = { name, readOnly: options.readOnly ?? false, isolation, endsAt };
    const running: Running = { owner: this, boundary, isOver: false };
    const begin: BeginOptions = {
      name,
      timeoutMs: endsAt - performance.now(),
      hasOwnTimeout: options.timeout !== undefined,
      readOnly: boundary.readOnly,
      isolation: options.isolation ?? null,
      poolWaitMs: this.config.poolWaitMs,
    };
    // The host would join for `Required`; whether to join is decided by now.
    return this.host.withTransaction(HostPropagation.RequiresNew, begin, () => {
      this.cls.set<Running>(RUNNING, running);
      return work().finally(() => (running.isOver = true));
    });
  }
}
