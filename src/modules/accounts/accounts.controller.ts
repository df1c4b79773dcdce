import { Controller, Get, Patch, Post } from '@nestjs/common';
import { Idempotent } from '../../http/idempotency.ts';
import { type ExpectedVersion, IfMatch, NeedsIfMatch } from '../../http/if-match.ts';
import { Body, Param, Query } from '../../http/input.ts';
import { Caller, OperatorsOnly, SignedIn } from '../../http/principal.ts';
import { Refuses } from '../../http/refuses.ts';
import { Returns, ReturnsCreated } from '../../http/returns.ts';
import type { Principal } from '../../kernel/principal.ts';
import {
  AccountChangePage,
  AccountId,
  AccountPage,
  AccountPatch,
  AccountQuery,
  AccountView,
  AsOf,
  ChangeQuery,
  Closing,
  EntryPage,
  EntryQuery,
  NewAccount,
} from './accounts.schema.ts';
import { AccountsService } from './accounts.service.ts';

@Controller('v1')
export class AccountsController {
  constructor(private readonly accounts: AccountsService) {}

  @Post('accounts')
  @SignedIn()
  @Idempotent('optional')
  @ReturnsCreated(AccountView, '/v1/accounts')
  @Refuses('currency-not-accepted')
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
  getAccount(@Caller() caller: Principal, @Param('id', AccountId) id: string, @Query(AsOf) query: AsOf) {
    return this.accounts.get(caller, id, query);
  }

  @Get('accounts/:id/entries')
  @SignedIn()
  @Returns(200, EntryPage)
  @Refuses('account-not-found')
  listEntries(@Caller() caller: Principal, @Param('id', AccountId) id: string, @Query(EntryQuery) query: EntryQuery) {
    return this.accounts.listEntries(caller, id, query);
  }

  @Get('accounts/:id/changes')
  @OperatorsOnly()
  @Returns(200, AccountChangePage)
  @Refuses('account-not-found')
  listAccountChanges(
    @Caller() caller: Principal,
    @Param('id', AccountId) id: string,
    @Query(ChangeQuery) query: ChangeQuery,
  ) {
    return this.accounts.listChanges(caller, id, query);
  }

  @Patch('accounts/:id')
  @SignedIn()
  @NeedsIfMatch()
  @Returns(200, AccountView)
  @Refuses(
    'account-not-found',
    'not-allowed',
    'own-account',
    'account-closed',
    'currency-mismatch',
    'insufficient-funds',
    'balance-too-large',
  )
  editAccount(
    @Caller() caller: Principal,
    @Param('id', AccountId) id: string,
    @IfMatch() version: ExpectedVersion,
    @Body(AccountPatch) patch: AccountPatch,
  ) {
    return this.accounts.edit(caller, id, version, patch);
  }

  @Post('accounts/:id/close')
  @SignedIn()
  @NeedsIfMatch()
  @Returns(200, AccountView)
  @Refuses('account-not-found', 'account-closed', 'account-frozen', 'pending-transfers', 'balance-not-zero')
  closeAccount(
    @Caller() caller: Principal,
    @Param('id', AccountId) id: string,
    @IfMatch() version: ExpectedVersion,
    @Body(Closing) closing: Closing,
  ) {
    return this.accounts.close(caller, id, version, closing);
  }
}
