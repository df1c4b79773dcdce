import { Injectable } from '@nestjs/common';
import { z } from 'zod';
import type { ExpectedVersion } from '../../http/conditional/if-match.ts';
import { page } from '../../http/pages/page.ts';
import { type Principal, scopeOf } from '../../kernel/principal.ts';
import { found } from '../../kernel/problem.ts';
import { Transactional } from '../../transactions/transactional.ts';
import { refuseEdit, refuseVersion } from './sample-thing.ts';
import { sampleThingProblems } from './sample-things.problems.ts';
import { SampleThingsRepository } from './sample-things.repository.ts';
import type { NewSampleThing, SampleThingPatch, SampleThingQuery } from './sample-things.schema.ts';

@Injectable()
export class SampleThingsService {
  constructor(private readonly sampleThings: SampleThingsRepository) {}

  async create({ userId }: Principal, members: NewSampleThing) {
    return this.sampleThings.create(userId, members);
  }

  /** Throws sample-thing-not-found. */
  async get(principal: Principal, id: string) {
    return found(await this.sampleThings.find(scopeOf(principal), id), sampleThingProblems.notFound);
  }

  /** One's own sample things, or everybody's for an operator, newest first. */
  async list(principal: Principal, query: SampleThingQuery) {
    const scope = scopeOf(principal);
    return page(
      'sample-things',
      { ...query, ...scope, reader: principal.userId },
      z.uuid(),
      (slice) => this.sampleThings.list(scope, slice),
      ({ id }) => id,
    );
  }

  /** Changes the version that was seen. Throws sample-thing-not-found, version-mismatch, sample-thing-archived. */
  @Transactional()
  async edit(principal: Principal, id: string, version: ExpectedVersion, patch: SampleThingPatch) {
    const before = found(await this.sampleThings.lock(scopeOf(principal), id), sampleThingProblems.notFound);
    refuseVersion(before, version);
    refuseEdit(before, patch);
    return this.sampleThings.update(id, patch);
  }

  /** Throws sample-thing-not-found. */
  async remove(principal: Principal, id: string): Promise<void> {
    if (!(await this.sampleThings.remove(scopeOf(principal), id))) throw sampleThingProblems.notFound();
  }
}
