/** @servers any */
import { channel } from 'node:diagnostics_channel';
import { readFileSync } from 'node:fs';
import {
  type BeforeApplicationShutdown,
  type CanActivate,
  Controller,
  type ExecutionContext,
  Get,
  Injectable,
  Module,
  type OnApplicationBootstrap,
  type OnModuleInit,
  UseGuards,
} from '@nestjs/common';
import type { FastifyRequest } from 'fastify';
import { z } from 'zod';
import type { AuthenticatedRequest } from '../../src/http/access/principal.ts';
import { Caller, Public, Refuses, Returns } from '../../src/http/route.ts';
import { idOut } from '../../src/http/schemas.ts';
import { generalProblems } from '../../src/kernel/general.problems.ts';
import { nobody, type Principal } from '../../src/kernel/principal.ts';
import { OrdersModule } from '../../src/modules/orders/orders.module.ts';
import { OrdersService } from '../../src/modules/orders/orders.service.ts';
import { HealthReports } from '../../src/operations/health.ts';
import { OperationsModule } from '../../src/operations/operations.module.ts';
import { PeriodicJob } from '../../src/operations/periodic-job.ts';
import type { BoundaryEnded } from '../../src/transactions/boundary/channels.ts';
import { afterCommit } from '../../src/transactions/hooks.ts';
import { Transactional } from '../../src/transactions/transactional.ts';
import { startApp, type TestApp } from '../support/app.ts';
import { eventually } from '../support/crowd.ts';
import { makers, uuidOf } from '../support/make.ts';

// The module of a team that uses what docs/extending.md shows. The code of that page stands here, word for word.

@Injectable()
class Couriers {
  readonly stopped: string[] = [];
  state: 'up' | 'away' = 'up';
  stop(orderId: string): void {
    if (this.state === 'away') throw new Error('no courier answers');
    this.stopped.push(orderId);
  }
  async collect(): Promise<void> {
    if (this.state === 'away') throw new Error('no courier answers');
    this.stopped.push('collected');
  }
}

@Injectable()
class RecallsService {
  constructor(
    private readonly orders: OrdersService,
    private readonly couriers: Couriers,
  ) {}

  @Transactional()
  async recall(operator: Principal, orderId: string) {
    const order = await this.orders.cancel(operator, orderId, { reason: 'Recalled' });
    afterCommit(() => this.couriers.stop(order.id));
    return order;
  }
}

@Injectable()
class CourierHealth implements OnModuleInit {
  constructor(
    private readonly health: HealthReports,
    private readonly couriers: Couriers,
  ) {}

  onModuleInit(): void {
    this.health.add('couriers', () => (this.couriers.state === 'up' ? null : 'do not answer'));
  }
}

@Injectable()
class BoundaryMetrics implements OnModuleInit {
  readonly seconds = new Map<string, number>();

  onModuleInit(): void {
    channel('holdfast:boundary-ended').subscribe((message) => {
      const { name, durationMs } = message as BoundaryEnded;
      this.seconds.set(name, (this.seconds.get(name) ?? 0) + durationMs / 1000);
    });
  }
}

@Injectable()
class CollectionJob implements OnApplicationBootstrap, BeforeApplicationShutdown {
  private readonly job = new PeriodicJob('CollectionJob', () => this.couriers.collect());
  constructor(private readonly couriers: Couriers) {}

  onApplicationBootstrap(): void {
    this.job.start(50);
  }

  async beforeApplicationShutdown(): Promise<void> {
    await this.job.stop();
  }
}

const partners = new Map<string, string>();

@Injectable()
class PartnerGuard implements CanActivate {
  canActivate(context: ExecutionContext): boolean {
    const request = context.switchToHttp().getRequest<AuthenticatedRequest & FastifyRequest>();
    const userId = partners.get(String(request.headers['x-partner-key']));
    if (userId === undefined) throw generalProblems.invalidToken('Send the key of a partner: X-Partner-Key.');
    request.principal = { userId, sessionId: nobody, role: 'customer' };
    return true;
  }
}

const PartnerView = z.object({ id: idOut('usr') }).meta({ id: 'Partner', description: 'A partner' });

@Controller('v1/partners')
class PartnersController {
  @Get('me')
  @Public()
  @UseGuards(PartnerGuard)
  @Returns(200, PartnerView)
  @Refuses(generalProblems.invalidToken)
  getPartner(@Caller() partner: Principal) {
    return { id: partner.userId };
  }
}

@Module({
  imports: [OrdersModule, OperationsModule],
  controllers: [PartnersController],
  providers: [RecallsService, Couriers, CourierHealth, BoundaryMetrics, CollectionJob, PartnerGuard],
})
class CouriersModule {}

// Its tests.

let service: TestApp;
let make: ReturnType<typeof makers>;
beforeAll(async () => {
  service = await startApp({}, [CouriersModule]);
  make = makers(service);
});
afterAll(() => service.close());
const couriers = () => service.app.get(Couriers);

it('the page on extending shows what stands in this file', () => {
  const bare = (text: string): string => text.replaceAll(/\s+/g, ' ');
  const [page, source] = [readFileSync('docs/extending.md', 'utf8'), bare(readFileSync(__filename, 'utf8'))];
  // What begins with the name of a file is applied to a copy by test/recipes.test.ts.
  const blocks = [...page.matchAll(/```ts\n([\s\S]*?)```/g)].map(([, block = '']) => block.trim());
  const shown = blocks.filter((block) => !block.startsWith('// '));
  expect(shown.length).toBeGreaterThan(4);
  expect(shown.filter((block) => !source.includes(bare(block)))).toEqual([]);
});

it('a hook reacts to what another module has stored, and not to what was refused', async () => {
  const buyer = await make.user({ balance: 1000 });
  const operator: Principal = { userId: uuidOf((await make.operator()).id), sessionId: nobody, role: 'operator' };
  const { id } = await make.order(buyer, [await make.sku(1)]);
  const recall = () => service.app.get(RecallsService).recall(operator, uuidOf(id));
  await recall();
  expect(couriers().stopped).toContain(uuidOf(id));
  couriers().stopped.length = 0;
  await expect(recall()).rejects.toMatchObject({ code: 'not-cancellable' });
  expect(couriers().stopped).not.toContain(uuidOf(id));
});

it('a part of a module makes the readiness degraded, and has a name of its own', async () => {
  const ready = async () => (await service.as().get('/readyz').expect(200)).body;
  expect(await ready()).toMatchObject({ details: { couriers: { status: 'up' } } });
  couriers().state = 'away';
  expect(await ready()).toMatchObject({ status: 'degraded', details: { couriers: { status: 'degraded' } } });
  couriers().state = 'up';
  expect(await ready()).toMatchObject({ status: 'ok' });
  for (const name of ['couriers', 'primary', 'pool', 'serving'])
    expect(() => service.app.get(HealthReports).add(name, () => null)).toThrow(
      `The readiness has a part ${name} already.`,
    );
});

it('a metric is counted from a channel', async () => {
  const { seconds } = service.app.get(BoundaryMetrics);
  expect(seconds.get('RecallsService.recall')).toBeGreaterThan(0);
});

it('a job takes its turns, also after one that failed, and ends with the service', async () => {
  const collected = () => Promise.resolve(couriers().stopped.filter((one) => one === 'collected').length);
  await eventually(collected, (count) => count > 1);
  couriers().state = 'away';
  couriers().stopped.length = 0;
  await new Promise((resolve) => setTimeout(resolve, 200));
  couriers().state = 'up';
  await eventually(collected, (count) => count > 1);
});

it('a guard lets in whoever it knows, in its own way', async () => {
  const user = await make.user();
  partners.set('partner-key', uuidOf(user.id));
  const asked = (key: string) => service.as().get('/v1/partners/me').set('x-partner-key', key);
  expect((await asked('partner-key').expect(200)).body).toEqual({ id: user.id });
  expect((await asked('another').expect(401)).body.code).toBe('invalid-token');
});
