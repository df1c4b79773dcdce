import { AsyncLocalStorage } from 'node:async_hooks';
import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import { Inject, Injectable, Logger, type OnApplicationShutdown, type OnModuleInit } from '@nestjs/common';
import type { Config } from '../config/config.ts';
import { TransactionsConfig } from '../config/slices.ts';
import { MisuseError } from '../kernel/loggable-error.ts';
import { framesOf } from './boundary/call-site.ts';
import { externalWorkFound } from './boundary/channels.ts';
import { type ExternalWork, stops, watches } from './boundary/external-work-channels.ts';
import type { RunningBoundary } from './boundary/running-boundary.ts';
import type { RunningTransaction } from './boundary/running-transaction.ts';
import { openBoundary } from './current.ts';
import { ExternalWorkInTransactionError } from './errors.ts';
import { Transactions } from './transactions.ts';

type Listener = (message: unknown) => void;

const reasons = new AsyncLocalStorage<string>();

/**
 * Runs the work, which may start requests, sockets, processes and threads inside a boundary, although that keeps its locks meanwhile
 * and cannot take them back. `reason` says to whoever reads the code why. Throws TypeError when it is empty.
 */
export function allowExternalWork<T>(reason: string, work: () => T): T {
  if (typeof reason !== 'string' || reason.trim() === '') throw new MisuseError('allowExternalWork needs a reason.');
  if (typeof work !== 'function') throw new MisuseError('allowExternalWork needs work, a function, behind its reason.');
  return reasons.run(reason, work);
}

/**
 * Finds outside work that is started inside a boundary of this application. EXTERNAL_WORK says what comes of it. `raise`: it is stopped
 * where Node has a way to, and nothing of the transaction is stored. `log`: a warning. Of each transaction the first is told.
 */
@Injectable()
export class ExternalWorkGuard implements OnModuleInit, OnApplicationShutdown {
  private readonly logger = new Logger('Transactions');
  private readonly subscriptions: [channel: string, heard: Listener][] = [];
  private readonly told = new WeakSet<RunningTransaction>();

  constructor(
    private readonly transactions: Transactions,
    @Inject(TransactionsConfig.KEY) private readonly config: Config['transactions'],
  ) {}

  onModuleInit(): void {
    const { externalWork: mode } = this.config;
    if (mode === 'off') return;
    for (const { channel, read } of watches)
      this.listen(channel, (message) => this.started((stack) => read(message, stack)));
    if (mode === 'raise') for (const { channel, stop } of stops) this.listen(channel, stop);
  }

  onApplicationShutdown(): void {
    for (const [channel, heard] of this.subscriptions.splice(0)) unsubscribe(channel, heard);
  }

  private listen(channel: string, heard: Listener): void {
    this.subscriptions.push([channel, heard]);
    subscribe(channel, heard);
  }

  // What is thrown here would not reach the caller, but end the process.
  private started(read: (stack: string) => ExternalWork | null): void {
    const boundary = openBoundary();
    if (boundary?.transaction.owner !== this.transactions || reasons.getStore() !== undefined) return;
    const raises = this.config.externalWork === 'raise';
    // What is not told needs no trace, which costs more than all of this.
    if (!raises && this.told.has(boundary.transaction)) return;
    const trace = traceOfCall();
    const work = read(trace.stack ?? '');
    if (work === null) return;
    const error = new ExternalWorkInTransactionError(boundary.name, work.kind, work.host, startOf(trace));
    if (raises) {
      boundary.foundExternalWork(error);
      work.stop(error);
    }
    this.tell(boundary, error);
  }

  private tell({ name, transaction }: RunningBoundary, error: ExternalWorkInTransactionError): void {
    if (this.told.has(transaction)) return;
    this.told.add(transaction);
    if (this.config.externalWork === 'log')
      this.logger.warn({ err: error, boundary: name, kind: error.kind }, 'outside work was started inside a boundary');
    if (externalWorkFound.hasSubscribers) externalWorkFound.publish({ boundary: name, error });
  }
}

// Node and a library take more than the ten frames that are usual.
const frameLimit = 100;

function traceOfCall(): Error {
  const { stackTraceLimit } = Error;
  Error.stackTraceLimit = frameLimit;
  const trace = new Error();
  Error.stackTraceLimit = stackTraceLimit;
  return trace;
}

// A library that has lost its caller is named by its own frames.
function startOf(trace: Error): string {
  const own = framesOf(trace);
  if (own !== '') return own;
  const frames = (trace.stack ?? '').split('\n').slice(1);
  return frames.filter((frame) => !/node:|src\/transactions/.test(frame)).join('\n');
}
