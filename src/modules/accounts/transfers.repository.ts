import { Injectable } from '@nestjs/common';
import { InjectDatabase, type Tables } from '../../database/tables.ts';
import type { Scope } from '../../kernel/principal.ts';

const withSettlement = { settlement: { select: { outcome: true, amount: true, createdAt: true } } } as const;

@Injectable()
export class TransfersRepository {
  constructor(@InjectDatabase() private readonly db: Tables<'transfer' | 'settlement' | 'account'>) {}

  /** A transfer that one of the owner's accounts takes part in, with what became of it where it was pending. */
  async find({ userId }: Scope, id: string) {
    const mine = userId === undefined ? {} : { OR: [{ fromAccount: { userId } }, { toAccount: { userId } }] };
    const transfer = await this.db.transfer.findFirst({ where: { id, ...mine } });
    return transfer && { ...transfer, settlement: transfer.expiresAt && (await this.findSettlement(id)) };
  }

  findSettlement(id: string) {
    return this.db.settlement.findUnique({ where: { transferId: id }, ...withSettlement.settlement });
  }

  async findHouse(house: 'cash' | 'sales', currency: string): Promise<string | null> {
    const account = await this.db.account.findUnique({
      where: { house_currency: { house, currency } },
      select: { id: true },
    });
    return account?.id ?? null;
  }
}
