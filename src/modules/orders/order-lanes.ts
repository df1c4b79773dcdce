import { Injectable } from '@nestjs/common';
import type { Principal } from '../../kernel/principal.ts';
import { type Lane, Lanes } from '../../transactions/lane.ts';
import { type Cancelling, CancellationsService } from './cancellations.service.ts';
import type { NewCancellation, NewOrder } from './orders.schema.ts';
import { OrdersService } from './orders.service.ts';
import { type Placing, PlacementsService } from './placements.service.ts';

type Shown = Awaited<ReturnType<OrdersService['place']>>;
type Cancelled = Awaited<ReturnType<OrdersService['cancel']>>;

// Every order locks the account that the house is paid on. Its currency is known only by the prices.
const sales = (): string => 'sales';

/** Orders of many callers, each batch in one boundary: its goods and accounts are locked, and all of it is written, by a few statements. */
@Injectable()
export class OrderLanes {
  private readonly placements: Lane<Placing, Shown>;
  private readonly cancellations: Lane<Cancelling, Cancelled>;

  constructor(lanes: Lanes, alone: OrdersService, placements: PlacementsService, cancellations: CancellationsService) {
    this.placements = lanes.open({
      name: 'OrdersService.place',
      callerOf: ({ by }) => by.userId,
      rowsOf: ({ asked }) => [asked.payment.accountId, ...asked.items.map(({ skuId }) => skuId)],
      sharedRowOf: sales,
      together: (commands, rows) => placements.placeAll(commands, rows),
      alone: ({ by, asked }) => alone.place(by, asked),
    });
    this.cancellations = lanes.open({
      name: 'OrdersService.cancel',
      callerOf: ({ by }) => by.userId,
      rowsOf: ({ id }) => [id],
      sharedRowOf: sales,
      together: (commands, rows) => cancellations.cancelAll(commands, rows),
      alone: ({ by, id, asked }) => alone.cancel(by, id, asked),
    });
  }

  /** Throws as `OrdersService.place` does. */
  place(by: Principal, asked: NewOrder): Promise<Shown> {
    return this.placements.submit({ by, asked });
  }

  /** Throws as `OrdersService.cancel` does. */
  cancel(by: Principal, id: string, asked: NewCancellation): Promise<Cancelled> {
    return this.cancellations.submit({ by, id, asked });
  }
}
