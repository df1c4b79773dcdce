import { money } from '../../kernel/money.ts';
import { readersOf, transferPosted, transferVoided } from '../ledger/ledger.events.ts';
import type { SettlementRow } from '../ledger/ledger-rows.ts';
import type { Moved } from '../ledger/movement.ts';
import type { StoredTransfer } from './settlement.ts';

/** What became of a transfer, and both accounts after it. */
export interface Made {
  readonly transfer: StoredTransfer;
  readonly row: SettlementRow;
  readonly after: Moved;
}

/** That it did. */
export function settlementEvent({ transfer, row, after }: Made) {
  const { id, kind, fromAccountId, toAccountId, currency } = transfer;
  const make = row.outcome === 'posted' ? transferPosted : transferVoided;
  const amount = money(row.amount ?? transfer.amount, currency);
  const data = { transferId: id, kind, fromAccountId, toAccountId, amount };
  return make({ subject: id, ...readersOf(after.from, after.to), data });
}
