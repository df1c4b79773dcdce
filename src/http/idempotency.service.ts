import { Inject, Injectable } from '@nestjs/common';
import { type Config, HttpConfig } from '../config/config.ts';
import { invalid } from '../kernel/errors.ts';
import { Consistency } from '../transactions/consistency.ts';
import { Transactions } from '../transactions/transactions.ts';
import type { OnceOnly, StoredAnswer } from './idempotency.ts';
import { IdempotencyRepository, type KnownAnswer } from './idempotency.repository.ts';
import { HttpProblem } from './problem.ts';

/** What a request is answered, and whether it was answered so before. */
export interface Given {
  readonly answer: StoredAnswer;
  readonly isReplayed: boolean;
}

interface OnceOnlyWork {
  readonly work: () => Promise<StoredAnswer>;
  /** The answer for an error that is the last word on the request; null for one of ours, after which it may be done again. */
  readonly refusal: (error: unknown) => StoredAnswer | null;
}

/** Does what has an Idempotency-Key once. The answer is stored in one commit with the work, or neither is. */
@Injectable()
export class IdempotencyService {
  constructor(
    private readonly transactions: Transactions,
    private readonly records: IdempotencyRepository,
    private readonly consistency: Consistency,
    @Inject(HttpConfig.KEY) private readonly config: Config['http'],
  ) {}

  /** Throws idempotency-key-in-use while the first request runs, idempotency-key-reused when the key was another request's. */
  async once(once: OnceOnly, work: OnceOnlyWork): Promise<Given> {
    const given = await this.transactions.run({ name: once.route }, async () => {
      const { isFree, known } = await this.records.open(once);
      if (!isFree) throw inUse();
      return known === null ? this.first(once, work) : { answer: again(once, known), isReplayed: true };
    });
    // Whoever repeats a request may have missed where its first answer stood: its reads must show that work all the same.
    if (given.isReplayed) this.consistency.wrote(null);
    return given;
  }

  private async first(once: OnceOnly, work: OnceOnlyWork): Promise<Given> {
    const answer = await this.answered(once, work);
    const isStored = await this.records.store(once, answer, this.config.idempotencyKeepSeconds);
    if (!isStored) throw inUse();
    return { answer, isReplayed: false };
  }

  // A refusal undoes the work, back to here, and is kept; an error of ours undoes everything, so that the key can be used again.
  private async answered({ route }: OnceOnly, { work, refusal }: OnceOnlyWork): Promise<StoredAnswer> {
    try {
      return await this.transactions.run({ name: route, propagation: 'nested' }, work);
    } catch (error) {
      const answer = refusal(error);
      if (answer === null) throw error;
      return answer;
    }
  }
}

const inUse = (): HttpProblem =>
  new HttpProblem(409, 'idempotency-key-in-use', 'The first request with this key is not done yet.', {
    'retry-after': '1',
  });

function again({ fingerprint }: OnceOnly, { fingerprint: known, status, headers, body }: KnownAnswer): StoredAnswer {
  if (!fingerprint.equals(known))
    throw invalid('idempotency-key-reused', 'This key was sent with another request. Take a new one for each request.');
  return { status, headers, body };
}
