import { Inject, Injectable } from '@nestjs/common';
import type { Config } from '../../config/config.ts';
import { HttpConfig } from '../../config/slices.ts';
import { Consistency } from '../../transactions/reads/consistency.ts';
import { acknowledgeLookUp } from '../../transactions/reads/look-ups.ts';
import { FinalStatementRefusedError } from '../../transactions/participant.ts';
import { Transactions } from '../../transactions/transactions.ts';
import { allowSeparateWrites } from '../../transactions/unit-of-work.ts';
import { IdempotencyRepository } from './idempotency.repository.ts';
import type { KeyedRequest, StoredResponse } from './idempotency.ts';
import { type IdempotencyContext, IdempotentRequest, IdempotentRequests } from './idempotent-request.ts';

/** What a handler has come to: a body to be sent, or a refusal. Null where the request may be done again, as it failed on our side. */
export interface Handled<T> {
  readonly response: StoredResponse | null;
  /** Gives what the handler has returned, or throws what it has thrown. */
  readonly pass: () => T;
}

/** Does what has an Idempotency-Key once. The response is stored in one commit with the work, or neither is. */
@Injectable()
export class IdempotencyService {
  private readonly context: IdempotencyContext;

  constructor(
    private readonly transactions: Transactions,
    records: IdempotencyRepository,
    private readonly consistency: Consistency,
    @Inject(HttpConfig.KEY) config: Config['http'],
  ) {
    const keepSeconds = config.idempotencyKeepSeconds;
    this.context = {
      records,
      keepSeconds,
      mappingRoutes: new Set<string>(),
      acknowledge: () => acknowledgeLookUp(this.transactions),
      group: new IdempotentRequests(records, keepSeconds),
    };
  }

  /**
   * Runs the handler, whose boundaries keep their own terms. `responseTo` tells what is sent when it returns a value. Gives what the
   * handler has come to, or `repeat` of the response to an earlier request.
   * Throws idempotency-key-in-use while the first request runs, idempotency-key-reused when the key was another request's.
   */
  async once<T>(
    request: KeyedRequest,
    responseTo: (value: unknown) => StoredResponse,
    handle: () => Promise<Handled<T>>,
    repeat: (response: StoredResponse) => T,
  ): Promise<T> {
    const idempotent = new IdempotentRequest(request, responseTo, this.context);
    const { response, pass } = await this.transactions.with(idempotent, handle);
    if (idempotent.earlier === null && response !== null && !idempotent.hasStored(response))
      await this.conclude(idempotent, response);
    if (idempotent.earlier === null) return pass();
    // Whoever repeats a request may have missed where its first response stood: its reads must show that work all the same.
    this.consistency.wrote(null);
    return repeat(idempotent.earlier);
  }

  private conclude(idempotent: IdempotentRequest, response: StoredResponse): Promise<StoredResponse> {
    return allowSeparateWrites('what is stored stays, whatever becomes of its record', () =>
      this.transactions
        .run({ name: 'IdempotencyService.once' }, () => idempotent.conclude(response))
        .catch((error: unknown) => {
          throw error instanceof FinalStatementRefusedError ? idempotent.inUse() : error;
        }),
    );
  }
}
