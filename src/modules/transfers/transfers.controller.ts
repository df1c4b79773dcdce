import { Controller, Get, Post, UseGuards } from '@nestjs/common';
import {
  AlsoReturns,
  Body,
  Caller,
  Idempotent,
  OperatorsOnly,
  Param,
  PreviewQuotaGuard,
  Query,
  Refuses,
  Returns,
  ReturnsCreated,
  SignedIn,
  TakesLongBody,
} from '../../http/route.ts';
import type { Principal } from '../../kernel/principal.ts';
import { ledgerProblems } from '../ledger/ledger.problems.ts';
import { settlementProblems } from '../settlements/settlements.problems.ts';
import { PendingTransfersService } from './pending-transfers.service.ts';
import { ReversalsService } from './reversals.service.ts';
import { TransferBatchesService } from './transfer-batches.service.ts';
import { transferProblems } from './transfers.problems.ts';
import {
  NewDeposit,
  NewReversal,
  NewTransfer,
  NewTransferBatch,
  NewVoids,
  Posting,
  TransferBatchView,
  TransferId,
  TransferPage,
  TransferPreview,
  TransferQuery,
  TransferView,
} from './transfers.schema.ts';
import { TransferLanes } from './transfer-lanes.ts';
import { TransfersService } from './transfers.service.ts';

// What any movement of money may be refused with.
const ofAMovement = [
  ledgerProblems.accountNotFound,
  ledgerProblems.sameAccount,
  ledgerProblems.currencyMismatch,
  ledgerProblems.insufficientFunds,
  ledgerProblems.balanceTooLarge,
  ledgerProblems.accountFrozen,
  ledgerProblems.accountClosed,
  ledgerProblems.cannotReceive,
];
// What a transfer that somebody asks for may be refused with besides.
const ofATransfer = [
  ...ofAMovement,
  ledgerProblems.conditionNotMet,
  transferProblems.exists,
  transferProblems.notFound,
  ledgerProblems.tooManyPending,
];

@Controller('v1')
export class TransfersController {
  constructor(
    private readonly transfers: TransfersService,
    private readonly lanes: TransferLanes,
    private readonly pending: PendingTransfersService,
    private readonly reversals: ReversalsService,
    private readonly batches: TransferBatchesService,
  ) {}

  @Post('deposits')
  @OperatorsOnly()
  @Idempotent('required')
  @ReturnsCreated(TransferView, '/v1/transfers')
  @Refuses(
    ledgerProblems.accountNotFound,
    ledgerProblems.currencyMismatch,
    ledgerProblems.balanceTooLarge,
    ledgerProblems.accountFrozen,
    ledgerProblems.accountClosed,
    ledgerProblems.ownAccount,
  )
  deposit(@Caller() caller: Principal, @Body(NewDeposit) deposit: NewDeposit) {
    return this.lanes.deposit(caller, deposit);
  }

  @Post('transfers')
  @SignedIn()
  @Idempotent('required')
  @ReturnsCreated(TransferView, '/v1/transfers')
  @Refuses(...ofATransfer)
  transfer(@Caller() caller: Principal, @Body(NewTransfer) transfer: NewTransfer) {
    return this.lanes.transfer(caller, transfer);
  }

  @Get('transfers')
  @SignedIn()
  @Returns(200, TransferPage)
  @Refuses(ledgerProblems.accountNotFound)
  listTransfers(@Caller() caller: Principal, @Query(TransferQuery) query: TransferQuery) {
    return this.transfers.list(caller, query);
  }

  @Post('transfers/preview')
  @SignedIn()
  @UseGuards(PreviewQuotaGuard)
  @Returns(200, TransferPreview)
  @Refuses(...ofATransfer)
  previewTransfer(@Caller() caller: Principal, @Body(NewTransfer) transfer: NewTransfer) {
    return this.transfers.preview(caller, transfer);
  }

  @Post('transfers/batch')
  @TakesLongBody()
  @SignedIn()
  @Idempotent('required')
  @Returns(201, TransferBatchView)
  @AlsoReturns(207, TransferBatchView, ({ mode }) => mode === 'partial')
  @Refuses(...ofATransfer, transferProblems.batchTooLarge)
  transferAll(@Caller() caller: Principal, @Body(NewTransferBatch) batch: NewTransferBatch) {
    return this.batches.transferAll(caller, batch);
  }

  @Post('transfers/void')
  @SignedIn()
  @Idempotent('required')
  @Returns(207, TransferBatchView)
  voidTransfers(@Caller() caller: Principal, @Body(NewVoids) voids: NewVoids) {
    return this.pending.voidAll(caller, voids);
  }

  @Get('transfers/:id')
  @SignedIn()
  @Returns(200, TransferView)
  @Refuses(transferProblems.notFound)
  getTransfer(@Caller() caller: Principal, @Param('id', TransferId) id: string) {
    return this.transfers.get(caller, id);
  }

  @Post('transfers/:id/post')
  @SignedIn()
  @Idempotent('required')
  @Returns(200, TransferView)
  @Refuses(
    transferProblems.notFound,
    settlementProblems.alreadyPosted,
    settlementProblems.alreadyVoided,
    settlementProblems.expired,
    settlementProblems.exceedsPending,
    ledgerProblems.currencyMismatch,
    ledgerProblems.accountFrozen,
    ledgerProblems.accountClosed,
    ledgerProblems.balanceTooLarge,
    ledgerProblems.cannotReceive,
    ledgerProblems.ownAccount,
  )
  postTransfer(@Caller() caller: Principal, @Param('id', TransferId) id: string, @Body(Posting) posting: Posting) {
    return this.pending.post(caller, id, posting);
  }

  @Post('transfers/:id/void')
  @SignedIn()
  @Idempotent('required')
  @Returns(200, TransferView)
  @Refuses(
    transferProblems.notFound,
    settlementProblems.alreadyPosted,
    settlementProblems.alreadyVoided,
    settlementProblems.expired,
  )
  voidTransfer(@Caller() caller: Principal, @Param('id', TransferId) id: string) {
    return this.pending.void(caller, id);
  }

  @Post('transfers/:id/reversals')
  @SignedIn()
  @Idempotent('required')
  @ReturnsCreated(TransferView, '/v1/transfers')
  @Refuses(
    ...ofAMovement,
    transferProblems.notFound,
    transferProblems.notPosted,
    transferProblems.notReversible,
    transferProblems.exceedsRemaining,
    ledgerProblems.ownAccount,
  )
  reverseTransfer(
    @Caller() caller: Principal,
    @Param('id', TransferId) id: string,
    @Body(NewReversal) reversal: NewReversal,
  ) {
    return this.reversals.reverse(caller, id, reversal);
  }
}
