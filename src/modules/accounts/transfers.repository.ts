import { Injectable } from '@nestjs/common';
import { InjectDatabase, type Tables } from '../../database/tables.ts';
import { newId } from '../../kernel/ids.ts';
import type { Scope } from '../../kernel/principal.ts';
import type { Movement } from './account.ts';

/** What an account looks like after its side of the transfer. */
interface After {
  readonly balance: bigint;
  readonly entryCount: number;
}

@Injectable()
export class TransfersRepository {
  constructor(@InjectDatabase() private readonly db: Tables<'transfer'>) {}

  /** The transfer and its two entries. */
  create({ amount: { amount, currency }, ...movement }: Movement, from: After, to: After) {
    const entry = (accountId: string, signed: bigint, after: After) => ({
      accountId,
      seq: after.entryCount,
      amount: signed,
      balanceAfter: after.balance,
    });
    const entries = [entry(movement.fromAccountId, -amount, from), entry(movement.toAccountId, amount, to)];
    return this.db.transfer.create({
      data: { id: newId(), ...movement, amount, currency, entries: { createMany: { data: entries } } },
    });
  }

  /** A transfer that one of the owner's accounts takes part in. */
  find({ userId }: Scope, id: string) {
    const mine = userId === undefined ? {} : { OR: [{ fromAccount: { userId } }, { toAccount: { userId } }] };
    return this.db.transfer.findFirst({ where: { id, ...mine } });
  }
}
