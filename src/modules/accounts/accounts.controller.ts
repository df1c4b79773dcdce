import { Controller, Get, Patch, Post } from '@nestjs/common';
import { currencyProblems } from '../../config/currency.problems.ts';
import {
  Body,
  Caller,
  type ExpectedVersion,
  Idempotent,
  IfMatch,
  NeedsIfMatch,
  OperatorsOnly,
  Param,
  Query,
  Refuses,
  Returns,
  ReturnsCreated,
  SignedIn,
} from '../../http/route.ts';
import { generalProblems } from '../../kernel/general.problems.ts';
import type { Principal } from '../../kernel/principal.ts';
import { ledgerProblems } from '../ledger/ledger.problems.ts';
import { AccountView } from './account.ts';
import { accountProblems } from './accounts.problems.ts';
import {
  AccountChangePage,
  AccountId,
  AccountPage,
  AccountPatch,
  AccountQuery,
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
  @Refuses(currencyProblems.notAccepted)
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
  @Refuses(ledgerProblems.accountNotFound)
  getAccount(@Caller() caller: Principal, @Param('id', AccountId) id: string, @Query(AsOf) query: AsOf) {
    return this.accounts.get(caller, id, query);
  }

  @Get('accounts/:id/entries')
  @SignedIn()
  @Returns(200, EntryPage)
  @Refuses(ledgerProblems.accountNotFound)
  listEntries(@Caller() caller: Principal, @Param('id', AccountId) id: string, @Query(EntryQuery) query: EntryQuery) {
    return this.accounts.listEntries(caller, id, query);
  }

  @Get('accounts/:id/changes')
  @OperatorsOnly()
  @Returns(200, AccountChangePage)
  @Refuses(ledgerProblems.accountNotFound)
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
    ledgerProblems.accountNotFound,
    generalProblems.notAllowed,
    ledgerProblems.ownAccount,
    ledgerProblems.accountClosed,
    ledgerProblems.currencyMismatch,
    ledgerProblems.insufficientFunds,
    ledgerProblems.balanceTooLarge,
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
  @Refuses(
    ledgerProblems.accountNotFound,
    ledgerProblems.accountClosed,
    ledgerProblems.accountFrozen,
    accountProblems.pendingTransfers,
    accountProblems.balanceNotZero,
  )
  closeAccount(
    @Caller() caller: Principal,
    @Param('id', AccountId) id: string,
    @IfMatch() version: ExpectedVersion,
    @Body(Closing) closing: Closing,
  ) {
    return this.accounts.close(caller, id, version, closing);
  }
}
