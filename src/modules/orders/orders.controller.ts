import { Controller, Get, Post } from '@nestjs/common';
import { Idempotent } from '../../http/idempotency.ts';
import { Body, Param, Query } from '../../http/input.ts';
import { Caller, SignedIn } from '../../http/principal.ts';
import { Refuses } from '../../http/refuses.ts';
import { Returns, ReturnsCreated } from '../../http/returns.ts';
import type { Principal } from '../../kernel/principal.ts';
import { NewCancellation, NewOrder, OrderId, OrderPage, OrderQuery, OrderView } from './orders.schema.ts';
import { OrdersService } from './orders.service.ts';

@Controller('v1/orders')
export class OrdersController {
  constructor(private readonly orders: OrdersService) {}

  @Post()
  @SignedIn()
  @Idempotent('required')
  @ReturnsCreated(OrderView, '/v1/orders')
  @Refuses(
    'sku-not-found',
    'account-not-found',
    'currency-mismatch',
    'price-changed',
    'out-of-stock',
    'insufficient-funds',
    'account-frozen',
    'account-closed',
    'balance-too-large',
    'cannot-receive',
    'total-too-large',
  )
  placeOrder(@Caller() caller: Principal, @Body(NewOrder) order: NewOrder) {
    return this.orders.place(caller, order);
  }

  @Get()
  @SignedIn()
  @Returns(200, OrderPage)
  listOrders(@Caller() caller: Principal, @Query(OrderQuery) query: OrderQuery) {
    return this.orders.list(caller, query);
  }

  @Get(':id')
  @SignedIn()
  @Returns(200, OrderView)
  @Refuses('order-not-found')
  getOrder(@Caller() caller: Principal, @Param('id', OrderId) id: string) {
    return this.orders.get(caller, id);
  }

  @Post(':id/cancel')
  @SignedIn()
  @Idempotent('required')
  @Returns(200, OrderView)
  @Refuses(
    'order-not-found',
    'not-cancellable',
    'sku-not-found',
    'too-much-stock',
    'account-not-found',
    'insufficient-funds',
    'account-frozen',
    'account-closed',
    'balance-too-large',
  )
  cancelOrder(
    @Caller() caller: Principal,
    @Param('id', OrderId) id: string,
    @Body(NewCancellation) cancellation: NewCancellation,
  ) {
    return this.orders.cancel(caller, id, cancellation);
  }
}
