import { Injectable } from '@nestjs/common';
import type { Removal, RemovalBatch } from '../../retention/expired-rows.ts';
import type { Rows } from '../../transactions/lane.ts';
import { lockRows } from '../../transactions/locks.ts';
import { InjectDatabase, type Sql } from '../../transactions/tables.ts';

/** What an account counts as pending although it has expired, in minor units. */
export interface ExpiredSum {
  readonly accountId: string;
  readonly out: bigint;
  readonly in: bigint;
  /** How many of them were to arrive. */
  readonly inCount: number;
}

/** How many reservations somebody has on an account; of `null`: how many count on it, from whomever. */
export interface ReservationCount {
  readonly senderId: string | null;
  readonly accountId: string;
  readonly count: number;
}

/** Among so many times the rows that it may remove a removal looks for those that count nowhere: the others are of accounts that are locked. */
const lookedThrough = 10;

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

  /**
   * Lets one boundary at a time create reservations of each of these senders: rows that do not exist yet cannot be locked. In one order for all.
   * Gives those it has: with `skip` not those whom somebody else has.
   */
  async lockSenders(userIds: readonly string[], rows: Rows = 'wait'): Promise<Set<string>> {
    const skips = rows === 'skip';
    const locked = await this.db.$queryRaw<{ id: string; isLocked: boolean }[]>`
      WITH wanted AS MATERIALIZED (
        SELECT id, hashtextextended('pending transfers of ' || id, 0) AS place FROM unnest(${[...new Set(userIds)]}::text[]) AS id ORDER BY 2)
      SELECT id, CASE WHEN ${skips} THEN pg_try_advisory_xact_lock(place) ELSE pg_advisory_xact_lock(place) IS NOT NULL END AS "isLocked"
      FROM wanted`;
    return new Set(locked.flatMap(({ id, isLocked }) => (isLocked ? id : [])));
  }

  /** How many these senders have on each account that have not expired, and how many count on each of the accounts, from whomever. */
  count(senderIds: readonly string[], accountIds: readonly string[], now: Date): Promise<ReservationCount[]> {
    return this.db.$queryRaw<ReservationCount[]>`
      SELECT sender_id AS "senderId", account_id AS "accountId", count(*)::int AS count
      FROM reservation WHERE sender_id = ANY(${[...senderIds]}::uuid[]) AND side = 'in' AND expires_at > ${now} GROUP BY 1, 2
      UNION ALL
      SELECT NULL, account_id, incoming_count FROM reservation_total WHERE account_id = ANY(${[...accountIds]}::uuid[])`;
  }

  /** Accounts that still count what has expired, among the oldest reservations: no more of them than one batch removes. */
  async listBehind({ most, from }: RemovalBatch): Promise<string[]> {
    // Bounded from below only: PostgreSQL would take a range for a small one, and read and sort all that has expired for each batch.
    const rows = await this.db.$queryRaw<{ id: string }[]>`
      SELECT DISTINCT r.account_id AS id FROM (
        SELECT account_id, expires_at FROM reservation
        WHERE expires_at >= coalesce(${from}::timestamptz, '-infinity') ORDER BY expires_at LIMIT ${most}) AS r
      JOIN account a ON a.id = r.account_id WHERE r.expires_at <= statement_timestamp() AND r.expires_at > a.expired_through`;
    return rows.map(({ id }) => id);
  }

  /** Locks the accounts that nobody else has locked; waits for one if it needs at least one. */
  async lockFree(accountIds: readonly string[], wait: boolean): Promise<string[]> {
    const { account } = await lockRows(this.db, { account: accountIds }, wait ? {} : { skipLocked: true });
    return [...account];
  }

  /** Stops counting expired reservations on locked accounts. */
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
   * touched. One at a time does it, whichever instance: whoever comes second removes nothing. Costs what it removes, however much has expired:
   * a sweep that is behind would else fall further behind.
   */
  async removeExpired({ most, from }: RemovalBatch): Promise<Removal> {
    // Bounded from below, and asked of each transfer for itself: joined, PostgreSQL reads the whole table for each batch. By ctid for the same
    // reason; nothing updates a reservation, and one that somebody else has removed meanwhile is passed over.
    const [removal] = await this.db.$queryRaw<Removal[]>`
      WITH turn AS MATERIALIZED (SELECT pg_try_advisory_xact_lock(hashtextextended('expired reservations', 0)) AS is_ours),
      over AS MATERIALIZED (
        SELECT r.ctid FROM (
          SELECT ctid, transfer_id, expires_at FROM reservation
          WHERE expires_at >= coalesce(${from}::timestamptz, '-infinity') ORDER BY expires_at LIMIT ${most * lookedThrough}) AS r
        WHERE (SELECT is_ours FROM turn) AND r.expires_at <= statement_timestamp()
          AND (
            SELECT bool_and(o.expires_at <= a.expired_through) FROM reservation o JOIN account a ON a.id = o.account_id
            WHERE o.transfer_id = r.transfer_id)
        ORDER BY r.expires_at LIMIT ${most}),
      removed AS (
        DELETE FROM reservation WHERE ctid = ANY (ARRAY(SELECT ctid FROM over)) RETURNING transfer_id, expires_at),
      ended AS (
        INSERT INTO settlement (transfer_id, outcome)
        SELECT DISTINCT transfer_id, 'expired'::settlement_outcome FROM removed ORDER BY transfer_id
        ON CONFLICT (transfer_id) DO NOTHING)
      SELECT count(*)::int AS removed, max(expires_at) AS through FROM removed`;
    return removal ?? { removed: 0, through: null };
  }
}
