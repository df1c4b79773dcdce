import { Controller, Get, Post } from '@nestjs/common';
import { Body, Param } from '../../http/input.ts';
import { Caller, OperatorsOnly, SignedIn } from '../../http/principal.ts';
import { Returns, ReturnsCreated } from '../../http/returns.ts';
import type { Principal } from '../../kernel/principal.ts';
import { NewDeposit, NewTransfer, TransferId, TransferView } from './transfers.schema.ts';
import { TransfersService } from './transfers.service.ts';

@Controller('v1')
export class TransfersController {
  constructor(private readonly transfers: TransfersService) {}

  @Post('deposits')
  @OperatorsOnly()
  @ReturnsCreated(TransferView, '/v1/transfers')
  deposit(@Caller() caller: Principal, @Body(NewDeposit) deposit: NewDeposit) {
    return this.transfers.deposit(caller, deposit);
  }

  @Post('transfers')
  @SignedIn()
  @ReturnsCreated(TransferView, '/v1/transfers')
  transfer(@Caller() caller: Principal, @Body(NewTransfer) transfer: NewTransfer) {
    return this.transfers.transfer(caller, transfer);
  }

  @Get('transfers/:id')
  @SignedIn()
  @Returns(200, TransferView)
  getTransfer(@Caller() caller: Principal, @Param('id', TransferId) id: string) {
    return this.transfers.get(caller, id);
  }
}
