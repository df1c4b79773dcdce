import { Injectable } from '@nestjs/common';
import type { Slice } from '../../http/pages/page.ts';
import { withoutUndefined } from '../../kernel/defined.ts';
import { newId } from '../../kernel/ids.ts';
import type { Scope } from '../../kernel/principal.ts';
import { defineLockableTables } from '../../transactions/lockable-tables.ts';
import { lockRows } from '../../transactions/locks.ts';
import { InjectDatabase, type Sql, type Tables } from '../../transactions/tables.ts';
import type { NewSampleThing, SampleThingPatch } from './sample-things.schema.ts';

export const sampleThingLocks = defineLockableTables('documents', { sample_thing: 'id' });
declare module '../../transactions/lockable-tables.ts' {
  interface LockableTables extends Readonly<typeof sampleThingLocks> {}
}

@Injectable()
export class SampleThingsRepository {
  // Sql: Prisma has no row locks.
  constructor(@InjectDatabase() private readonly db: Tables<'sampleThing'> & Sql) {}

  create(userId: string, members: NewSampleThing) {
    return this.db.sampleThing.create({ data: { id: newId(), userId, ...withoutUndefined(members) } });
  }

  find(scope: Scope, id: string) {
    return this.db.sampleThing.findFirst({ where: { id, ...scope } });
  }

  /** The sample thing, locked until the boundary ends; that of somebody else is neither found nor locked. */
  async lock(scope: Scope, id: string) {
    if ((await this.find(scope, id)) === null) return null;
    await lockRows(this.db, { sample_thing: [id] });
    return this.find(scope, id);
  }

  list(scope: Scope, { after, take }: Slice<string>) {
    return this.db.sampleThing.findMany({
      where: { ...scope, ...(after !== null && { id: { lt: after } }) },
      orderBy: { id: 'desc' },
      take,
    });
  }

  /** Changes a row that the caller has locked. */
  update(id: string, patch: SampleThingPatch) {
    return this.db.sampleThing.update({
      where: { id },
      data: { ...withoutUndefined(patch), version: { increment: 1 } },
    });
  }

  /** Whether a row was there to be removed. */
  async remove(scope: Scope, id: string): Promise<boolean> {
    const removed = await this.db.sampleThing.deleteMany({ where: { id, ...scope } });
    return removed.count === 1;
  }
}
