import { Controller, Get, Post } from '@nestjs/common';
import {
  Body,
  Caller,
  Idempotent,
  Param,
  Query,
  Refuses,
  Returns,
  ReturnsCreated,
  SignedIn,
} from '../../http/route.ts';
import type { Principal } from '../../kernel/principal.ts';
import { catalogProblems } from '../catalog/catalog.problems.ts';
import { ledgerProblems } from '../ledger/ledger.problems.ts';
import { OrderLanes } from './order-lanes.ts';
import { orderProblems } from './orders.problems.ts';
import { NewCancellation, NewOrder, OrderId, OrderPage, OrderQuery, OrderView } from './orders.schema.ts';
import { OrdersService } from './orders.service.ts';

@Controller('v1/orders')
export class OrdersController {
  constructor(
    private readonly orders: OrdersService,
    private readonly lanes: OrderLanes,
  ) {}

  @Post()
  @SignedIn()
  @Idempotent('required')
  @ReturnsCreated(OrderView, '/v1/orders')
  @Refuses(
    catalogProblems.skuNotFound,
    ledgerProblems.accountNotFound,
    ledgerProblems.currencyMismatch,
    orderProblems.priceChanged,
    catalogProblems.outOfStock,
    ledgerProblems.insufficientFunds,
    ledgerProblems.accountFrozen,
    ledgerProblems.accountClosed,
    ledgerProblems.balanceTooLarge,
    ledgerProblems.cannotReceive,
    orderProblems.totalTooLarge,
  )
  placeOrder(@Caller() caller: Principal, @Body(NewOrder) order: NewOrder) {
    return this.lanes.place(caller, order);
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
  @Refuses(orderProblems.notFound)
  getOrder(@Caller() caller: Principal, @Param('id', OrderId) id: string) {
    return this.orders.get(caller, id);
  }

  @Post(':id/cancel')
  @SignedIn()
  @Idempotent('required')
  @Returns(200, OrderView)
  @Refuses(
    orderProblems.notFound,
    orderProblems.notCancellable,
    catalogProblems.skuNotFound,
    catalogProblems.tooMuchStock,
    ledgerProblems.accountNotFound,
    ledgerProblems.insufficientFunds,
    ledgerProblems.accountFrozen,
    ledgerProblems.accountClosed,
    ledgerProblems.balanceTooLarge,
  )
  cancelOrder(
    @Caller() caller: Principal,
    @Param('id', OrderId) id: string,
    @Body(NewCancellation) cancellation: NewCancellation,
  ) {
    return this.lanes.cancel(caller, id, cancellation);
  }
}
