import { Injectable } from '@nestjs/common';
import { InjectDatabase, type Sql, type Tables } from '../../transactions/tables.ts';
import { type ChainItem, type Head, headOf, keyOf, type Link, type Place, type SealedSettlement } from './chain.ts';

// The key of the advisory lock, the letters "chain". Other advisory locks in this database must use other keys.
const sealing = 0x63_68_61_69_6en;
// Sorts before every id.
const noId = '00000000-0000-0000-0000-000000000000';

@Injectable()
export class ChainRepository {
  // Sql: Prisma knows neither advisory locks nor snapshots, and cannot compare rows.
  constructor(@InjectDatabase() private readonly db: Tables<'chainLink' | 'settlement' | 'transfer'> & Sql) {}

  /** Takes the right to seal until the boundary ends; false if another instance has it. Does not wait. */
  async takeTurn(): Promise<boolean> {
    const [turn] = await this.db.$queryRaw<{ taken: boolean }[]>`SELECT pg_try_advisory_xact_lock(${sealing}) AS taken`;
    return turn?.taken === true;
  }

  /** The end of the chain; null while it is empty. */
  async head(): Promise<(Head & { readonly sealedAt: Date }) | null> {
    const link = await this.db.chainLink.findFirst({ orderBy: { seq: 'desc' } });
    return link === null ? null : { ...headOf(link), sealedAt: link.sealedAt };
  }

  /** The first transaction id that may still be running, or was never given out: all below are over, and what they stored can be seen. */
  async horizon(): Promise<bigint> {
    const [row] = await this.db.$queryRaw<{ horizon: bigint }[]>`
      SELECT pg_snapshot_xmin(pg_current_snapshot())::text::bigint AS horizon`;
    return row?.horizon ?? 0n;
  }

  /**
   * What stands behind this place and can be sealed, in order. The statement looks at one snapshot: every transaction below its xmin is over
   * and seen, so nothing can come to stand before what it gives. One that begins after another's COMMIT has the higher id, so the order never
   * contradicts what happened.
   */
  async sealable(place: Place | null, take: number): Promise<Place[]> {
    const { txid, item, transferId } = place ?? { txid: 0n, item: 'settlement', transferId: noId };
    // To add a kind of item, add a SELECT to these statements and its conversion to `read`.
    return this.db.$queryRaw<Place[]>`
      SELECT txid, item, id::text AS "transferId" FROM (
        SELECT txid, 'transfer' AS item, id FROM transfer
        WHERE txid >= ${txid} AND txid < pg_snapshot_xmin(pg_current_snapshot())::text::bigint
        UNION ALL
        SELECT txid, 'settlement', transfer_id FROM settlement
        WHERE txid >= ${txid} AND txid < pg_snapshot_xmin(pg_current_snapshot())::text::bigint
      ) AS finished
      WHERE (txid, item, id) > (${txid}, ${item}, ${transferId}::uuid)
      ORDER BY txid, item, id LIMIT ${take}`;
  }

  /** What the tables hold of these, by `keyOf`; what is gone is not among them. */
  async read(places: readonly Place[]): Promise<Map<string, ChainItem>> {
    const idsOf = (kind: Place['item']) =>
      places.flatMap(({ item, transferId }) => (item === kind ? [transferId] : []));
    const items = [
      ...(await this.readTransfers(idsOf('transfer'))),
      ...(await this.readSettlements(idsOf('settlement'))),
    ];
    return new Map(items.map((item) => [keyOf(item), item]));
  }

  async append(links: readonly Link[]): Promise<void> {
    await this.db.chainLink.createMany({ data: [...links] });
  }

  /** The links behind this one, in order. */
  list(after: bigint, take: number): Promise<Link[]> {
    return this.db.chainLink.findMany({ where: { seq: { gt: after } }, orderBy: { seq: 'asc' }, take });
  }

  /** What stands before or at this place and has no link: the first, and null when there is none. */
  async findUnsealed({ txid, item, transferId }: Place): Promise<Place | null> {
    const [found] = await this.db.$queryRaw<Place[]>`
      SELECT txid, item, id::text AS "transferId" FROM (
        SELECT txid, 'transfer' AS item, id FROM transfer
        UNION ALL SELECT txid, 'settlement', transfer_id FROM settlement) AS i
      WHERE (txid, item, id) <= (${txid}, ${item}, ${transferId}::uuid)
        AND NOT EXISTS (SELECT FROM chain_link l WHERE l.transfer_id = i.id AND l.item::text = i.item)
      ORDER BY txid, item, id LIMIT 1`;
    return found ?? null;
  }

  /** How many stand behind this place. */
  async countBehind(place: Place | null): Promise<bigint> {
    const { txid, item, transferId } = place ?? { txid: 0n, item: 'settlement', transferId: noId };
    const [row] = await this.db.$queryRaw<{ n: bigint }[]>`
      SELECT count(*) AS n FROM (
        SELECT txid, 'transfer' AS item, id FROM transfer WHERE txid >= ${txid}
        UNION ALL SELECT txid, 'settlement', transfer_id FROM settlement WHERE txid >= ${txid}) AS i
      WHERE (txid, item, id) > (${txid}, ${item}, ${transferId}::uuid)`;
    return row?.n ?? 0n;
  }

  private async readTransfers(ids: readonly string[]): Promise<ChainItem[]> {
    if (ids.length === 0) return [];
    const found = await this.db.transfer.findMany({ where: { id: { in: [...ids] } }, include: { entries: true } });
    // A pending one gets its entries later, with its settlement, which seals them.
    return found.map(({ entries, ...transfer }) => ({
      ...transfer,
      item: 'transfer',
      transferId: transfer.id,
      entries: transfer.expiresAt === null ? entries : [],
    }));
  }

  private async readSettlements(ids: readonly string[]): Promise<SealedSettlement[]> {
    if (ids.length === 0) return [];
    const found = await this.db.settlement.findMany({
      where: { transferId: { in: [...ids] } },
      include: { transfer: { select: { entries: true } } },
    });
    // Also of one that was not posted, so that entries which somebody adds later are found.
    return found.map(({ transfer, ...settlement }) => ({
      ...settlement,
      item: 'settlement',
      // Its transfer is gone only where somebody has gone around the rules, which is for `verify` to find.
      entries: (transfer as typeof transfer | null)?.entries ?? [],
    }));
  }
}
