import { Controller, Get, Post, UseGuards } from '@nestjs/common';
import { Idempotent } from '../../http/idempotency.ts';
import { Body, Param, Query } from '../../http/input.ts';
import { PreviewQuota } from '../../http/preview-quota.guard.ts';
import { Caller, OperatorsOnly, SignedIn } from '../../http/principal.ts';
import { Refuses } from '../../http/refuses.ts';
import { AlsoReturns, Returns, ReturnsCreated } from '../../http/returns.ts';
import type { Principal } from '../../kernel/principal.ts';
import { PendingTransfersService } from './pending-transfers.service.ts';
import { ReversalsService } from './reversals.service.ts';
import { TransferBatchesService } from './transfer-batches.service.ts';
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
import { TransfersService } from './transfers.service.ts';

// What any movement of money may be refused with.
const ofAMovement = [
  'account-not-found',
  'same-account',
  'currency-mismatch',
  'insufficient-funds',
  'balance-too-large',
  'account-frozen',
  'account-closed',
  'cannot-receive',
] as const;
// What a transfer that somebody asks for may be refused with besides.
const ofATransfer = [
  ...ofAMovement,
  'condition-not-met',
  'transfer-exists',
  'transfer-not-found',
  'too-many-pending',
] as const;

@Controller('v1')
export class TransfersController {
  constructor(
    private readonly transfers: TransfersService,
    private readonly pending: PendingTransfersService,
    private readonly reversals: ReversalsService,
    private readonly batches: TransferBatchesService,
  ) {}

  @Post('deposits')
  @OperatorsOnly()
  @Idempotent('required')
  @ReturnsCreated(TransferView, '/v1/transfers')
  @Refuses(
    'account-not-found',
    'currency-mismatch',
    'balance-too-large',
    'account-frozen',
    'account-closed',
    'own-account',
  )
  deposit(@Caller() caller: Principal, @Body(NewDeposit) deposit: NewDeposit) {
    return this.transfers.deposit(caller, deposit);
  }

  @Post('transfers')
  @SignedIn()
  @Idempotent('required')
  @ReturnsCreated(TransferView, '/v1/transfers')
  @Refuses(...ofATransfer)
  transfer(@Caller() caller: Principal, @Body(NewTransfer) transfer: NewTransfer) {
    return this.transfers.transfer(caller, transfer);
  }

  @Get('transfers')
  @SignedIn()
  @Returns(200, TransferPage)
  @Refuses('account-not-found')
  listTransfers(@Caller() caller: Principal, @Query(TransferQuery) query: TransferQuery) {
    return this.transfers.list(caller, query);
  }

  @Post('transfers/preview')
  @SignedIn()
  @UseGuards(PreviewQuota)
  @Returns(200, TransferPreview)
  @Refuses(...ofATransfer)
  previewTransfer(@Caller() caller: Principal, @Body(NewTransfer) transfer: NewTransfer) {
    return this.transfers.preview(caller, transfer);
  }

  @Post('transfers/batch')
  @SignedIn()
  @Idempotent('required')
  @Returns(201, TransferBatchView)
  @AlsoReturns(207, TransferBatchView, ({ mode }) => mode === 'partial')
  @Refuses(...ofATransfer, 'batch-too-large')
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
  @Refuses('transfer-not-found')
  getTransfer(@Caller() caller: Principal, @Param('id', TransferId) id: string) {
    return this.transfers.get(caller, id);
  }

  @Post('transfers/:id/post')
  @SignedIn()
  @Idempotent('required')
  @Returns(200, TransferView)
  @Refuses(
    'transfer-not-found',
    'already-posted',
    'already-voided',
    'expired',
    'exceeds-pending',
    'currency-mismatch',
    'account-frozen',
    'account-closed',
    'balance-too-large',
    'cannot-receive',
    'own-account',
  )
  postTransfer(@Caller() caller: Principal, @Param('id', TransferId) id: string, @Body(Posting) posting: Posting) {
    return this.pending.post(caller, id, posting);
  }

  @Post('transfers/:id/void')
  @SignedIn()
  @Idempotent('required')
  @Returns(200, TransferView)
  @Refuses('transfer-not-found', 'already-posted', 'already-voided', 'expired')
  voidTransfer(@Caller() caller: Principal, @Param('id', TransferId) id: string) {
    return this.pending.void(caller, id);
  }

  @Post('transfers/:id/reversals')
  @SignedIn()
  @Idempotent('required')
  @ReturnsCreated(TransferView, '/v1/transfers')
  @Refuses(...ofAMovement, 'transfer-not-found', 'not-posted', 'not-reversible', 'exceeds-remaining', 'own-account')
  reverseTransfer(
    @Caller() caller: Principal,
    @Param('id', TransferId) id: string,
    @Body(NewReversal) reversal: NewReversal,
  ) {
    return this.reversals.reverse(caller, id, reversal);
  }
}
