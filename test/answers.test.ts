/** @servers any */
import { randomUUID } from 'node:crypto';
import {
  type CallHandler,
  type ExecutionContext,
  Controller,
  Get,
  Module,
  type NestInterceptor,
  Post,
  UseInterceptors,
} from '@nestjs/common';
import { RouteConfig } from '@nestjs/platform-fastify';
import { ApiExcludeController } from '@nestjs/swagger';
import { map, type Observable } from 'rxjs';
import { z } from 'zod';
import { Idempotent, Public, Returns, ReturnsCreated } from '../src/http/route.ts';
import { startApp, type TestApp } from './support/app.ts';

const Box = z
  .object({ id: z.string().regex(/^box_\d$/), size: z.int().max(9) })
  .meta({ id: 'Box', description: 'A box' });

/** Adds what it is given to what passes, as an interceptor of a module may, and keeps what it has seen. */
class Adding implements NestInterceptor {
  readonly seen: unknown[] = [];

  constructor(private readonly more: object) {}

  intercept(_: ExecutionContext, next: CallHandler): Observable<unknown> {
    return next.handle().pipe(
      map((body: object) => {
        this.seen.push(body);
        return { ...body, ...this.more };
      }),
    );
  }
}
const adding = new Adding({ secret: 'geheim', size: 3 });

@ApiExcludeController()
@Controller('boxes')
class BoxesController {
  @Get('cut') @Public() @Returns(200, Box) cut() {
    return { id: 'box_1', size: 1, secret: 'geheim' };
  }
  @Get('configured') @RouteConfig({ own: true }) @Public() @Returns(200, Box) configured() {
    return { id: 'box_1', size: 1, secret: 'geheim' };
  }
  @Get('wrong-form') @Public() @Returns(200, Box) wrongForm() {
    return { id: 'no box', size: 10 };
  }
  @Get('wrong-type') @Public() @Returns(200, Box) wrongType() {
    return { id: { secret: 'geheim' }, size: 1 };
  }
  @Get('intercepted') @Public() @UseInterceptors(adding) @Returns(200, Box) intercepted() {
    return { id: 'box_1', size: 1, inner: true };
  }
  @Get('unsaid') @Public() @UseInterceptors(adding) unsaid() {
    return { anything: true };
  }
  @Post() @Public() @Idempotent('required') @UseInterceptors(adding) @ReturnsCreated(Box, '/boxes') create() {
    return { id: 'box_2', size: 2, secret: 'geheim' };
  }
}
@Module({ controllers: [BoxesController] })
class BoxesModule {}

describe.each(['test', 'production'])('an answer with NODE_ENV=%s', (mode) => {
  let service: TestApp;
  beforeAll(async () => {
    service = await startApp({ NODE_ENV: mode }, [BoxesModule]);
  });
  afterAll(() => service.close());
  beforeEach(() => {
    adding.seen.length = 0;
  });

  const get = async (path: string) => {
    const response = await fetch(`${service.url}/boxes/${path}`);
    return [response.status, await response.json()];
  };

  it('shows what its view names, and nothing else', async () => {
    expect(await get('cut')).toEqual([200, { id: 'box_1', size: 1 }]);
  });

  it('is that also where a module gives its route a configuration of its own', async () => {
    expect(await get('configured')).toEqual([200, { id: 'box_1', size: 1 }]);
  });

  it('with a member of another type is refused as our fault, and tells nothing', async () => {
    const [status, body] = await get('wrong-type');
    expect([status, JSON.stringify(body)]).toEqual([500, expect.not.stringContaining('geheim')]);
  });

  it('whose members have another form than the view promises is refused where answers are checked', async () => {
    expect((await get('wrong-form'))[0]).toBe(mode === 'production' ? 200 : 500);
  });

  it('is shown behind the interceptors of a module: they see what the handler returns, and what they add is cut too', async () => {
    expect(await get('intercepted')).toEqual([200, { id: 'box_1', size: 3 }]);
    expect(adding.seen).toEqual([{ id: 'box_1', size: 1, inner: true }]);
  });

  it('of a route that says nothing of it is what its interceptors make', async () => {
    expect(await get('unsaid')).toEqual([200, { anything: true, secret: 'geheim', size: 3 }]);
  });

  it('to a request with a key is what its interceptors make, cut to the view, and the same text again', async () => {
    const headers = { 'idempotency-key': randomUUID(), 'content-type': 'application/json' };
    const ask = async () => {
      const response = await fetch(`${service.url}/boxes`, { method: 'POST', headers, body: '{}' });
      const { headers: told } = response;
      return [response.status, told.get('location'), told.get('idempotent-replayed'), await response.text()];
    };
    const text = '{"id":"box_2","size":3}';
    expect(await ask()).toEqual([201, '/boxes/box_2', null, text]);
    expect(await ask()).toEqual([201, '/boxes/box_2', 'true', text]);
  });
});
