import { Injectable } from '@nestjs/common';
import { Transactions } from '../../transactions/transactions.ts';
import { type CurrencyTotals, isBalanced } from './books.ts';
import { BooksRepository } from './books.repository.ts';

@Injectable()
export class BooksService {
  constructor(
    private readonly transactions: Transactions,
    private readonly books: BooksRepository,
  ) {}

  /**
   * The totals of every currency, all from one snapshot. Reads all entries, within DATABASE_TRANSACTION_TIMEOUT_MS.
   * Drawn with `run`, as sums need statements that a repository of @InjectReads() has not; the server holds it to reading.
   */
  trialBalance() {
    return this.transactions.run(
      { name: 'BooksService.trialBalance', readOnly: true, isolation: 'repeatable-read' },
      async () => {
        const asOf = await this.books.now();
        const currencies = (await this.totals()).map((totals) => ({ ...show(totals), balanced: isBalanced(totals) }));
        return { asOf, balanced: currencies.every(({ balanced }) => balanced), currencies };
      },
    );
  }

  private async totals(): Promise<CurrencyTotals[]> {
    const accounts = await this.books.sumAccounts();
    const entries = await this.books.sumEntries();
    const transfers = await this.books.countTransfers();
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
