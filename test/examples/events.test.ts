/** @servers any */
import { readFileSync } from 'node:fs';
import { Injectable, Module } from '@nestjs/common';
import { z } from 'zod';
import { defineEvent, type EventOf } from '../../src/events/event-type.ts';
import { Events } from '../../src/events/events.ts';
import { OnEvent } from '../../src/events/on-event.ts';
import { idOut } from '../../src/http/schemas.ts';
import { orderPlaced } from '../../src/modules/orders/orders.events.ts';
import { Transactional } from '../../src/transactions/transactional.ts';
import { startApp, type TestApp } from '../support/app.ts';
import { eventually } from '../support/crowd.ts';
import { makers, uuidOf } from '../support/make.ts';

// The code of docs/events.md stands here, word for word.

/** Keeps in memory what a team would keep in a table. */
@Injectable()
class SlipsRepository {
  readonly orders: string[] = [];
  readonly printed: string[] = [];
  async create(orderId: string, _: Date): Promise<void> {
    this.orders.push(orderId);
  }
  async markPrinted(orderId: string): Promise<void> {
    this.printed.push(orderId);
  }
}

@Injectable()
export class PackingSlips {
  constructor(private readonly slips: SlipsRepository) {}

  @OnEvent(orderPlaced)
  async print(event: EventOf<typeof orderPlaced>) {
    await this.slips.create(event.subjectId, event.createdAt);
  }
}

export const slipPrinted = defineEvent({
  type: 'slip.printed',
  meaning: 'A packing slip was printed.',
  subject: 'ord',
  data: z.object({ orderId: idOut('ord'), pages: z.int() }),
});

@Injectable()
class Printers {
  constructor(
    private readonly slips: SlipsRepository,
    private readonly events: Events,
  ) {}

  @Transactional()
  async printed(orderId: string, pages: number) {
    await this.slips.markPrinted(orderId);
    this.events.record(slipPrinted({ subject: orderId, data: { orderId, pages } }));
  }
}

@Module({ providers: [SlipsRepository, PackingSlips, Printers] })
class SlipsModule {}

let service: TestApp;
let make: ReturnType<typeof makers>;
beforeAll(async () => {
  service = await startApp({ EVENT_POLL_INTERVAL_MS: '100' }, [SlipsModule]);
  make = makers(service);
});
afterAll(() => service.close());

const bare = (text: string): string => text.replaceAll(/\s+/g, ' ');

it('the page shows the code that runs here', () => {
  const [page, source] = [readFileSync('docs/events.md', 'utf8'), bare(readFileSync(__filename, 'utf8'))];
  const blocks = [...page.matchAll(/```ts\n([\s\S]*?)```/g)].map(([, block = '']) => bare(block.trim()));
  expect(blocks.length).toBeGreaterThanOrEqual(3);
  expect(blocks.filter((block) => !source.includes(block))).toEqual([]);
});

it('a consumer acts on an order of somebody else’s module, once', async () => {
  const buyer = await make.user({ balance: 1000 });
  const { id } = await make.order(buyer, [await make.sku(1)]);
  const { orders } = service.app.get(SlipsRepository);
  await eventually(
    async () => orders.length,
    (count) => count > 0,
  );
  expect(orders).toEqual([uuidOf(id)]);
});

it('a service tells of its own', async () => {
  const orderId = uuidOf((await make.order(await make.user({ balance: 1000 }), [await make.sku(1)])).id);
  await service.app.get(Printers).printed(orderId, 2);
  const rows = await service.database.query(`SELECT data FROM event WHERE type = 'slip.printed'`);
  expect(rows).toEqual([{ data: { orderId: expect.stringMatching(/^ord_/), pages: 2 } }]);
});
