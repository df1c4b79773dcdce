import { Controller, Get, Post } from '@nestjs/common';
import { Body, Param, Query } from '../../http/input.ts';
import { Caller, OperatorsOnly, SignedIn } from '../../http/principal.ts';
import { Refuses } from '../../http/refuses.ts';
import { Returns, ReturnsCreated } from '../../http/returns.ts';
import type { Principal } from '../../kernel/principal.ts';
import {
  AccountId,
  AccountPage,
  AccountQuery,
  AccountView,
  EntryPage,
  EntryQuery,
  NewAccount,
  NewDeposit,
  NewTransfer,
  TransferId,
  TransferView,
} from './accounts.schema.ts';
import { AccountsService } from './accounts.service.ts';
import { TransfersService } from './transfers.service.ts';

@Controller('v1')
export class AccountsController {
  constructor(
    private readonly accounts: AccountsService,
    private readonly transfers: TransfersService,
  ) {}

  @Post('accounts')
  @SignedIn()
  @ReturnsCreated(AccountView, '/v1/accounts')
  openAccount(@Caller() caller: Principal, @Body(NewAccount) account: NewAccount) {
    return this.accounts.open(caller, account);
  }

  @Get('accounts')
  @SignedIn()
  @Returns(200, AccountPage)
  listAccounts(@Caller() caller: Principal, @Query(AccountQuery) query: AccountQuery) {
    return this.accounts.list(caller, query);
  }

  @Get('accounts/:id')
  @SignedIn()
  @Returns(200, AccountView)
  @Refuses('account-not-found')
  getAccount(@Caller() caller: Principal, @Param('id', AccountId) id: string) {
    return this.accounts.get(caller, id);
  }

  @Get('accounts/:id/entries')
  @SignedIn()
  @Returns(200, EntryPage)
  @Refuses('account-not-found')
  listEntries(@Caller() caller: Principal, @Param('id', AccountId) id: string, @Query(EntryQuery) query: EntryQuery) {
    return this.accounts.listEntries(caller, id, query);
  }

  @Post('deposits')
  @OperatorsOnly()
  @ReturnsCreated(TransferView, '/v1/transfers')
  @Refuses('account-not-found', 'house-account-not-found', 'currency-mismatch', 'balance-too-large', 'entry-exists')
  deposit(@Caller() caller: Principal, @Body(NewDeposit) deposit: NewDeposit) {
    return this.transfers.deposit(caller, deposit);
  }

  @Post('transfers')
  @SignedIn()
  @ReturnsCreated(TransferView, '/v1/transfers')
  @Refuses(
    'account-not-found',
    'same-account',
    'currency-mismatch',
    'insufficient-funds',
    'balance-too-large',
    'entry-exists',
  )
  transfer(@Caller() caller: Principal, @Body(NewTransfer) transfer: NewTransfer) {
    return this.transfers.transfer(caller, transfer);
  }

  @Get('transfers/:id')
  @SignedIn()
  @Returns(200, TransferView)
  @Refuses('transfer-not-found')
  getTransfer(@Caller() caller: Principal, @Param('id', TransferId) id: string) {
    return this.transfers.get(caller, id);
  }
}
