import { Injectable } from '@nestjs/common';
import type { Slice } from '../../http/pages/page.ts';
import { newId } from '../../kernel/ids.ts';
import type { Money } from '../../kernel/money.ts';
import { InjectDatabase, type Sql, type Tables } from '../../transactions/tables.ts';
import type { OpenShowing } from './seat.ts';
import type { NewShowing } from './showings.schema.ts';

type ShowingRow = Omit<NewShowing, 'rows' | 'price' | 'seatsPerCustomer'> & {
  readonly price: Money;
  readonly seatsPerCustomer: number | null;
  readonly createdById: string;
};
interface NewSeat {
  readonly row: string;
  readonly number: number;
  readonly position: number;
}

@Injectable()
export class ShowingsRepository {
  // Sql: whether a showing has begun is told by the clock of the database.
  constructor(@InjectDatabase() private readonly db: Tables<'showing' | 'seat'> & Sql) {}

  /** With all its seats. */
  async create({ price, ...showing }: ShowingRow, seats: readonly NewSeat[]) {
    const id = newId();
    const amount = { price: price.amount, currency: price.currency };
    const created = await this.db.showing.create({ data: { id, ...showing, ...amount, seatCount: seats.length } });
    await this.db.seat.createMany({ data: seats.map((seat) => ({ id: newId(), showingId: id, ...seat })) });
    return created;
  }

  find(id: string) {
    return this.db.showing.findUnique({ where: { id } });
  }

  findAll(ids: readonly string[]) {
    return this.db.showing.findMany({ where: { id: { in: [...ids] } } });
  }

  /** Null where there is none. */
  async findOpen(id: string): Promise<OpenShowing | null> {
    const [showing] = await this.db.$queryRaw<OpenShowing[]>`
      SELECT id, price, currency, seats_per_customer AS "seatsPerCustomer", starts_at <= statement_timestamp() AS "hasBegun"
      FROM showing WHERE id = ${id}::uuid`;
    return showing ?? null;
  }

  list({ after, take }: Slice<string>) {
    return this.db.showing.findMany({
      where: { ...(after !== null && { id: { lt: after } }) },
      orderBy: { id: 'desc' },
      take,
    });
  }
}
