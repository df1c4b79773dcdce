import { Injectable } from '@nestjs/common';
import { InjectDatabase, type Tables } from '../transactions/tables.ts';

/** What was seeded into this database. */
@Injectable()
export class SeedsRepository {
  constructor(@InjectDatabase() private readonly db: Tables<'seed'>) {}

  /** False when it has been recorded before, or is by somebody else now: of two at once the second waits for the first. */
  async create(name: string): Promise<boolean> {
    const { count } = await this.db.seed.createMany({ data: [{ name, people: [] }], skipDuplicates: true });
    return count === 1;
  }

  async updatePeople(name: string, people: readonly string[]): Promise<void> {
    await this.db.seed.update({ where: { name }, data: { people: [...people] } });
  }

  /** The users that were made by it; none when it was never done. */
  async listPeople(name: string): Promise<readonly string[]> {
    return (await this.db.seed.findUnique({ where: { name } }))?.people ?? [];
  }
}
