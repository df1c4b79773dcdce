import { Injectable } from '@nestjs/common';
import { Transactional } from '../../transactions/transactional.ts';
import { TrialBalanceRepository } from './trial-balance.repository.ts';
import { type CurrencyTotals, isBalanced } from './trial-balance.ts';

@Injectable()
export class TrialBalanceService {
  constructor(private readonly trialBalances: TrialBalanceRepository) {}

  /** The totals of every currency, all from one snapshot. Reads all entries, within DATABASE_TRANSACTION_TIMEOUT_MS. */
  @Transactional({ readOnly: true, isolation: 'repeatable-read' })
  async get() {
    const asOf = await this.trialBalances.now();
    const currencies = (await this.totals()).map((totals) => ({ ...show(totals), balanced: isBalanced(totals) }));
    return { asOf, balanced: currencies.every(({ balanced }) => balanced), currencies };
  }

  private async totals(): Promise<CurrencyTotals[]> {
    const accounts = await this.trialBalances.sumAccounts();
    const entries = await this.trialBalances.sumEntries();
    const transfers = await this.trialBalances.countTransfers();
    const none = { debits: 0n, credits: 0n, entryCount: 0n };
    return accounts.map((account) => ({
      ...none,
      ...entries.get(account.currency),
      ...account,
      transferCount: transfers.get(account.currency) ?? 0n,
    }));
  }
}

const show = ({ currency, debits, credits, balances, accountCount, transferCount, entryCount }: CurrencyTotals) => ({
  currency,
  debits: String(debits),
  credits: String(credits),
  balances: String(balances),
  accountCount: Number(accountCount),
  transferCount: Number(transferCount),
  entryCount: Number(entryCount),
});
