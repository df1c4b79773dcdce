import { Injectable } from '@nestjs/common';
import { LRUCache } from 'lru-cache';
import type { Rows } from '../../transactions/lane.ts';
import { defineLockableTables } from '../../transactions/lockable-tables.ts';
import { lockAndLoad } from '../../transactions/locks.ts';
import { InjectDatabase, type Sql, type Tables } from '../../transactions/tables.ts';
import {
  type Change,
  changeColumns,
  entryColumns,
  type EntryRow,
  type LedgerWrite,
  movementColumns,
  reservationColumns,
  settlementColumns,
  type SettlementRow,
} from './ledger-rows.ts';
import type { AccountState, Parties, Party } from './movement.ts';

export const accountLocks = defineLockableTables('money', { account: 'id' });
declare module '../../transactions/lockable-tables.ts' {
  interface LockableTables extends Readonly<typeof accountLocks> {}
}

const mostRemembered = 100_000;

/** A row that was written, and when. */
interface Stamped {
  readonly id: string;
  readonly createdAt: Date;
}

const columns: Record<keyof AccountState, string> = {
  id: 'id',
  userId: 'user_id',
  house: 'house',
  name: 'name',
  currency: 'currency',
  balance: 'balance',
  pendingOut: 'pending_out',
  pendingIn: 'pending_in',
  expiredThrough: 'expired_through',
  entryCount: 'entry_count',
  overdraftLimit: 'overdraft_limit',
  maxBalance: 'max_balance',
  frozenAt: 'frozen_at',
  closedAt: 'closed_at',
  version: 'version',
  balanceVersion: 'balance_version',
  createdAt: 'created_at',
};

/**
 * Writes the ledger with one statement for everything that belongs together, whatever its size. The statement checks the account versions
 * again: if an account is not as it was when it was locked, nothing is written and no row is returned.
 */
@Injectable()
export class LedgerRepository {
  private readonly parties = new LRUCache<string, Party>({ max: mostRemembered });

  // Sql: Prisma has no row locks, and no statement that writes several tables.
  constructor(@InjectDatabase() private readonly db: Tables<'account'> & Sql) {}

  /**
   * Locks the accounts in id order until the boundary ends, and gives them by id, with the database's time then: null without any. With
   * `skip` those that somebody else has locked are left out.
   */
  async lock(
    ids: readonly string[],
    rows: Rows = 'wait',
  ): Promise<{ accounts: Map<string, AccountState>; at: Date | null }> {
    const options = rows === 'skip' ? ({ skipLocked: true } as const) : {};
    const { rows: found, at } = await lockAndLoad<AccountState>(this.db, 'account', ids, columns, options);
    return { accounts: new Map(found.map((account) => [account.id, account])), at };
  }

  /** The accounts as they are, without a lock. */
  async load(ids: readonly string[]): Promise<Map<string, AccountState>> {
    const accounts = await this.db.account.findMany({ where: { id: { in: [...ids] } } });
    return new Map(accounts.map((account) => [account.id, account]));
  }

  /**
   * The owner and the currency of those of the accounts that there are, without a lock. They never change, so those of the most recently used
   * accounts are remembered.
   */
  async listParties(ids: readonly string[]): Promise<Parties> {
    const wanted = [...new Set(ids)];
    const known = wanted.flatMap((id) => this.parties.get(id) ?? []);
    const parties = new Map(known.map((party) => [party.id, party]));
    const unknown = wanted.filter((id) => !parties.has(id));
    if (unknown.length === 0) return parties;
    const found = await this.db.account.findMany({
      where: { id: { in: unknown } },
      select: { id: true, userId: true, house: true, currency: true },
    });
    for (const party of found) {
      this.parties.set(party.id, party);
      parties.set(party.id, party);
    }
    return parties;
  }

  /** The transfers with their entries, or what they reserve, and the accounts. Gives when each was written. Violates `transfer-exists`. */
  write({ changes, movements, entries, reservations }: LedgerWrite): Promise<Stamped[]> {
    const [a, t] = [changeColumns(changes), movementColumns(movements)];
    const [e, r] = [entryColumns(entries), reservationColumns(reservations)];
    return this.db.$queryRaw<Stamped[]>`
      WITH changed AS (
        UPDATE account AS a SET balance = c.balance, pending_out = c.pending_out, pending_in = c.pending_in,
          expired_through = c.expired_through, entry_count = c.entry_count, balance_version = c.balance_version
        FROM unnest(${a.ids}::uuid[], ${a.seenVersions}::int[], ${a.seen}::int[], ${a.balances}::bigint[], ${a.out}::bigint[],
          ${a.in}::bigint[], ${a.expired}::timestamptz[], ${a.entryCounts}::int[], ${a.versions}::int[])
          AS c (id, seen_version, seen, balance, pending_out, pending_in, expired_through, entry_count, balance_version)
        WHERE a.id = c.id AND a.balance_version = c.seen AND a.version = c.seen_version
        RETURNING a.id),
      guarded AS (SELECT FROM changed HAVING count(*) = ${changes.length}),
      made AS (
        INSERT INTO transfer (id, kind, from_account_id, to_account_id, amount, currency, note, created_by_id,
          expires_at, reverses_id, reversal_seq, reversed_total)
        SELECT t.* FROM unnest(${t.ids}::uuid[], ${t.kinds}::transfer_kind[], ${t.from}::uuid[], ${t.to}::uuid[], ${t.amounts}::bigint[],
          ${t.currencies}::text[], ${t.notes}::text[], ${t.by}::uuid[], ${t.expiring}::timestamptz[], ${t.reverses}::uuid[],
          ${t.seqs}::int[], ${t.totals}::bigint[]) AS t, guarded
        RETURNING id, created_at),
      entered AS (
        INSERT INTO entry (account_id, seq, transfer_id, amount, balance_after, created_at)
        SELECT e.*, made.created_at FROM unnest(${e.accounts}::uuid[], ${e.seqs}::int[], ${e.transfers}::uuid[], ${e.amounts}::bigint[],
          ${e.balances}::bigint[]) AS e (account_id, seq, transfer_id, amount, balance) JOIN made ON made.id = e.transfer_id),
      reserved AS (
        INSERT INTO reservation (transfer_id, account_id, side, amount, expires_at, sender_id)
        SELECT r.* FROM unnest(${r.transfers}::uuid[], ${r.accounts}::uuid[], ${r.sides}::reservation_side[], ${r.amounts}::bigint[],
          ${r.expiring}::timestamptz[], ${r.senders}::uuid[]) AS r, guarded)
      SELECT id, created_at AS "createdAt" FROM made`;
  }

  /** What became of pending transfers, with their entries and the accounts. Gives when each was written: none unless all is as it was. */
  settle(rows: readonly SettlementRow[], changes: readonly Change[], entries: readonly EntryRow[]): Promise<Stamped[]> {
    const [s, a, e] = [settlementColumns(rows), changeColumns(changes), entryColumns(entries)];
    return this.db.$queryRaw<Stamped[]>`
      WITH changed AS (
        UPDATE account AS a SET balance = c.balance, pending_out = c.pending_out, pending_in = c.pending_in,
          expired_through = c.expired_through, entry_count = c.entry_count, balance_version = c.balance_version
        FROM unnest(${a.ids}::uuid[], ${a.seenVersions}::int[], ${a.seen}::int[], ${a.balances}::bigint[], ${a.out}::bigint[],
          ${a.in}::bigint[], ${a.expired}::timestamptz[], ${a.entryCounts}::int[], ${a.versions}::int[])
          AS c (id, seen_version, seen, balance, pending_out, pending_in, expired_through, entry_count, balance_version)
        WHERE a.id = c.id AND a.balance_version = c.seen AND a.version = c.seen_version
        RETURNING a.id),
      freed AS (DELETE FROM reservation WHERE transfer_id = ANY(${s.transfers}::uuid[]) RETURNING account_id),
      ended AS (
        INSERT INTO settlement (transfer_id, outcome, amount, created_by_id)
        SELECT s.* FROM unnest(${s.transfers}::uuid[], ${s.outcomes}::settlement_outcome[], ${s.amounts}::bigint[], ${s.by}::uuid[]) AS s
        WHERE (SELECT count(*) FROM changed) = ${changes.length} AND (SELECT count(*) FROM freed) = ${rows.length * 2}
        RETURNING transfer_id, created_at),
      entered AS (
        INSERT INTO entry (account_id, seq, transfer_id, amount, balance_after, created_at)
        SELECT e.*, ended.created_at FROM unnest(${e.accounts}::uuid[], ${e.seqs}::int[], ${e.transfers}::uuid[], ${e.amounts}::bigint[],
          ${e.balances}::bigint[]) AS e (account_id, seq, transfer_id, amount, balance) JOIN ended USING (transfer_id))
      SELECT transfer_id AS id, created_at AS "createdAt" FROM ended`;
  }
}
