import { Injectable } from '@nestjs/common';
import { z } from 'zod';
import { cloudEventOf } from '../../events/cloud-event.ts';
import type { Patience } from '../../http/route.ts';
import { bindingOf, readCursor, writeCursor } from '../../http/pages/page.ts';
import { type Principal, scopeOf } from '../../kernel/principal.ts';
import { found } from '../../kernel/problem.ts';
import { EventWaiters } from './event-waiters.ts';
import { eventProblems } from './events.problems.ts';
import type { FeedQuery } from './events.schema.ts';
import { FeedRepository } from './feed.repository.ts';

// A position is a bigint, which JSON has not.
const Position = z.string().regex(/^\d{1,19}$/);

@Injectable()
export class FeedService {
  constructor(
    private readonly feed: FeedRepository,
    private readonly waiters: EventWaiters,
  ) {}

  /** The same as {@link read}, at once where there is something, else when there is, or as late as the caller would wait. */
  async follow(by: Principal, query: FeedQuery, { waitMs, gone, ...patience }: Patience) {
    const endsAt = performance.now() + waitMs;
    let page = await this.read(by, query);
    while (page.data.length === 0 && !page.hasMore && this.waiters.areOpen && !gone.aborted) {
      const leftMs = endsAt - performance.now();
      if (leftMs <= 0) break;
      patience.standAside();
      const awaited = { by, types: query.type ?? null, behind: page.through };
      await this.waiters.wait(awaited, leftMs, gone);
      page = await this.read(by, { ...query, cursor: page.nextCursor });
    }
    return page;
  }

  /**
   * What happened behind the cursor and may be read by now, oldest first: of a customer what is theirs, of an operator everything. The cursor
   * passes what is not shown, so that nothing is looked at twice. Throws malformed-cursor.
   */
  async read(by: Principal, { limit, cursor, from, ...filter }: FeedQuery) {
    const scope = scopeOf(by);
    const binding = bindingOf('events', { ...filter, ...scope, reader: by.userId });
    const after = cursor === undefined ? null : BigInt(readCursor(cursor, binding, Position));
    const slice =
      after === null && from === 'now'
        ? { events: [], hasMore: false, through: await this.feed.findHorizon() }
        : await this.feed.list(scope, filter, { after: after ?? 0n, take: limit });
    const { events, hasMore, through } = slice;
    return { data: events.map(cloudEventOf), hasMore, through, nextCursor: writeCursor(binding, String(through)) };
  }

  /** Throws event-not-found. */
  async get(by: Principal, id: string) {
    return cloudEventOf(found(await this.feed.find(scopeOf(by), id), eventProblems.notFound));
  }
}
