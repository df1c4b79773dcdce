import { Injectable } from '@nestjs/common';
import { InjectDatabase, type Sql } from '../../database/tables.ts';
import { lockRows } from '../../transactions/locks.ts';

/** What an account counts as pending although it has expired, in minor units. */
export interface ExpiredSum {
  readonly accountId: string;
  readonly out: bigint;
  readonly in: bigint;
  /** How many of them were to arrive. */
  readonly inCount: number;
}

/** A transfer that is pending, and the account that it is to leave. */
export interface PendingArrival {
  readonly transferId: string;
  readonly fromAccountId: string;
}

/** How many reservations there are on each account. */
export interface ReservationCounts {
  readonly ofPair: Map<string, number>;
  readonly onReceiver: Map<string, number>;
}

@Injectable()
export class ReservationsRepository {
  // Sql: Prisma neither sums over a join nor deletes what it has just searched, and has no locks.
  constructor(@InjectDatabase() private readonly db: Sql) {}

  /** What expired by a moment and still counts: what ended after `expiredThrough` of its account. None where nothing has. */
  async sumExpired(accountIds: readonly string[], now: Date): Promise<ExpiredSum[]> {
    const sums = await this.db.$queryRaw<{ accountId: string; out: string; in: string; inCount: number }[]>`
      SELECT a.id AS "accountId", coalesce(sum(r.amount) FILTER (WHERE r.side = 'out'), 0)::text AS "out",
        coalesce(sum(r.amount) FILTER (WHERE r.side = 'in'), 0)::text AS "in", (count(*) FILTER (WHERE r.side = 'in'))::int AS "inCount"
      FROM account a JOIN reservation r ON r.account_id = a.id AND r.expires_at > a.expired_through AND r.expires_at <= ${now}
      WHERE a.id = ANY(${[...accountIds]}::uuid[]) GROUP BY a.id`;
    return sums.map((sum) => ({ ...sum, out: BigInt(sum.out), in: BigInt(sum.in) }));
  }

  /** Lets one boundary at a time make reservations of this sender: those of others cannot be locked, as they are not there yet. */
  async lockSender(userId: string): Promise<void> {
    await this.db
      .$queryRaw`SELECT pg_advisory_xact_lock(hashtextextended(${`pending transfers of ${userId}`}, 0))::text`;
  }

  /** How many a sender has on each account that have not expired, and how many count on each of the accounts, from whomever. */
  async count(senderId: string, accountIds: readonly string[], now: Date): Promise<ReservationCounts> {
    const counts = await this.db.$queryRaw<{ accountId: string; isSenders: boolean; count: number }[]>`
      SELECT account_id AS "accountId", true AS "isSenders", count(*)::int AS count
      FROM reservation WHERE sender_id = ${senderId}::uuid AND side = 'in' AND expires_at > ${now} GROUP BY account_id
      UNION ALL
      SELECT account_id, false, incoming_count FROM reservation_total WHERE account_id = ANY(${[...accountIds]}::uuid[])`;
    const those = (isSenders: boolean): Map<string, number> =>
      new Map(counts.filter((one) => one.isSenders === isSenders).map(({ accountId, count }) => [accountId, count]));
    return { ofPair: those(true), onReceiver: those(false) };
  }

  /** What is pending to an account by a moment, oldest first. */
  listArrivals(accountId: string, now: Date, take: number): Promise<PendingArrival[]> {
    return this.db.$queryRaw<PendingArrival[]>`
      SELECT r.transfer_id AS "transferId", t.from_account_id AS "fromAccountId"
      FROM reservation r JOIN transfer t ON t.id = r.transfer_id
      WHERE r.account_id = ${accountId}::uuid AND r.side = 'in' AND r.expires_at > ${now} ORDER BY r.expires_at, r.transfer_id LIMIT ${take}`;
  }

  /** Accounts that still count what has expired, those of the oldest reservations. */
  async listBehind(most: number): Promise<string[]> {
    const rows = await this.db.$queryRaw<{ id: string }[]>`
      SELECT DISTINCT account_id AS id FROM (
        SELECT r.account_id FROM reservation r JOIN account a ON a.id = r.account_id
        WHERE r.expires_at <= statement_timestamp() AND r.expires_at > a.expired_through ORDER BY r.expires_at LIMIT ${most}) AS r`;
    return rows.map(({ id }) => id);
  }

  /** Locks the accounts that nobody holds; waits for them where it must have one. */
  async lockFree(accountIds: readonly string[], wait: boolean): Promise<string[]> {
    const { account } = await lockRows(this.db, { account: accountIds }, wait ? {} : { skipLocked: true });
    return [...account];
  }

  /** Leaves out of accounts that are locked what has expired by now. */
  async leaveOutExpired(accountIds: readonly string[]): Promise<void> {
    await this.db.$executeRaw`
      UPDATE account AS a SET pending_out = a.pending_out - r.outgoing, pending_in = a.pending_in - r.incoming,
        expired_through = date_trunc('milliseconds', statement_timestamp())
      FROM (
        SELECT a.id, coalesce(sum(r.amount) FILTER (WHERE r.side = 'out'), 0) AS outgoing,
          coalesce(sum(r.amount) FILTER (WHERE r.side = 'in'), 0) AS incoming
        FROM account a JOIN reservation r ON r.account_id = a.id AND r.expires_at > a.expired_through
          AND r.expires_at <= date_trunc('milliseconds', statement_timestamp())
        WHERE a.id = ANY(${[...accountIds]}::uuid[]) GROUP BY a.id) AS r
      WHERE a.id = r.id`;
  }

  /**
   * Removes reservations that count nowhere any more, oldest first, and writes down that their transfers expired. Gives how many. No account is
   * touched. One at a time does it, whichever instance: whoever comes second removes nothing.
   */
  async removeExpired(most: number): Promise<number> {
    const removed = await this.db.$queryRaw<{ removed: number }[]>`
      WITH turn AS MATERIALIZED (SELECT pg_try_advisory_xact_lock(hashtextextended('expired reservations', 0)) AS is_ours),
      over AS MATERIALIZED (
        SELECT r.transfer_id, r.account_id FROM reservation r JOIN account a ON a.id = r.account_id
        WHERE (SELECT is_ours FROM turn) AND r.expires_at <= statement_timestamp() AND r.expires_at <= a.expired_through
          AND NOT EXISTS (
            SELECT FROM reservation o JOIN account b ON b.id = o.account_id
            WHERE o.transfer_id = r.transfer_id AND o.account_id <> r.account_id AND o.expires_at > b.expired_through)
        ORDER BY r.expires_at LIMIT ${most}),
      removed AS (
        DELETE FROM reservation AS r USING over AS o WHERE r.transfer_id = o.transfer_id AND r.account_id = o.account_id
        RETURNING r.transfer_id),
      ended AS (
        INSERT INTO settlement (transfer_id, outcome)
        SELECT DISTINCT transfer_id, 'expired'::settlement_outcome FROM removed ORDER BY transfer_id
        ON CONFLICT (transfer_id) DO NOTHING)
      SELECT count(*)::int AS removed FROM removed`;
    return removed[0]?.removed ?? 0;
  }
}
