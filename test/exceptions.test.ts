/** @servers any */
import * as nest from '@nestjs/common';
import {
  Body,
  type CallHandler,
  type CanActivate,
  Catch,
  Controller,
  ConflictException,
  type ExceptionFilter,
  ForbiddenException,
  Get,
  HttpException,
  Injectable,
  type MiddlewareConsumer,
  Module,
  type NestInterceptor,
  NotFoundException,
  ParseIntPipe,
  type PipeTransform,
  Post,
  Query,
  UseFilters,
  UseGuards,
  UseInterceptors,
} from '@nestjs/common';
import type { Response } from 'supertest';
import request from 'supertest';
import { AppModule } from '../src/app.module.ts';
import { Public } from '../src/http/access/principal.ts';
import { problemOf } from '../src/kernel/problem.ts';
import { startApp, type TestApp } from './support/app.ts';
import { expectProblem } from './support/problem.ts';

/** What is thrown next, and where. */
let thrown: unknown;
const raise = (): never => {
  throw thrown;
};

const guard: CanActivate = { canActivate: () => raise() };
const no: CanActivate = { canActivate: () => false };
const pipe: PipeTransform = { transform: () => raise() };
const before: NestInterceptor = { intercept: () => raise() };
class After implements NestInterceptor {
  intercept(_: unknown, next: CallHandler) {
    next.handle();
    return raise();
  }
}
class Mark extends Error {}
@Catch(Mark)
class Filter implements ExceptionFilter {
  catch(): void {
    raise();
  }
}

@Controller('thrown')
class ThrowingController {
  @Get('handler') @Public() handler() {
    return raise();
  }
  @Get('promise') @Public() promise() {
    // A team may reject with anything.
    // eslint-disable-next-line @typescript-eslint/prefer-promise-reject-errors
    return Promise.reject(thrown);
  }
  @Get('guard') @Public() @UseGuards(guard) guard() {
    return { status: 'unthrown' };
  }
  @Get('refusing-guard') @Public() @UseGuards(no) refusingGuard() {
    return { status: 'unthrown' };
  }
  @Post('pipe') @Public() pipe(@Body(pipe) _: unknown) {
    return { status: 'unthrown' };
  }
  @Get('interceptor') @Public() @UseInterceptors(before) interceptor() {
    return { status: 'unthrown' };
  }
  @Get('after') @Public() @UseInterceptors(new After()) after() {
    return { status: 'unthrown' };
  }
  @Get('filter') @Public() @UseFilters(new Filter()) filter() {
    throw new Mark();
  }
  @Get('middleware') @Public() middleware() {
    return { status: 'unthrown' };
  }
  @Get('parsed') @Public() parsed(@Query('n', ParseIntPipe) _: number) {
    return { status: 'unthrown' };
  }
}

@Injectable()
class Middleware {
  use(): void {
    raise();
  }
}

@Module({ controllers: [ThrowingController] })
class ThrowingModule {
  configure(consumer: MiddlewareConsumer): void {
    consumer.apply(Middleware).forRoutes('thrown/middleware');
  }
}

let service: TestApp;
beforeAll(async () => {
  const real = AppModule.with.bind(AppModule);
  jest.spyOn(AppModule, 'with').mockImplementation((config, more) => {
    const made = real(config, more);
    return { ...made, imports: [...(made.imports ?? []), ThrowingModule] };
  });
  service = await startApp();
});
afterAll(() => service.close());

const places = ['handler', 'promise', 'guard', 'interceptor', 'after', 'filter', 'middleware', 'pipe'] as const;
const call = async (place: string, what?: unknown): Promise<Response> => {
  thrown = what;
  const to = request(service.url);
  const path = `/thrown/${place}`;
  return place === 'pipe' ? to.post(path).send({}) : to.get(path);
};

type Class = new (response?: unknown, options?: object) => HttpException;
const classes = Object.entries(nest)
  .filter(([, value]) => typeof value === 'function' && (value as Class).prototype instanceof HttpException)
  .map(([name, value]) => [name, value as Class] as const);

describe('each exception of Nest', () => {
  it('is known here', () => {
    expect(classes.length).toBeGreaterThan(20);
  });

  it.each(classes)('%s is a problem with its status, a registered code and what was given', async (_, Thrown) => {
    const status = new Thrown('x').getStatus();
    const given = 'The lamp is out.';
    const forms: [form: unknown, detail: string][] = [
      [new Thrown(given), given],
      [new Thrown({ message: given, more: 'inside' }), given],
      [new Thrown({ message: [given, 'Twice.'] }), `${given}; Twice.`],
      [new Thrown(given, { cause: new Error('inside') }), given],
      [new Thrown(new Error('inside')), ''],
      [new Thrown(), ''],
    ];
    for (const [form, detail] of forms) {
      const response = await call('handler', form);
      expect(response.status).toBe(status);
      expectProblem(response);
      if (status < 500 && detail !== '') expect(response.body.detail).toBe(detail);
      if (status >= 500) expect(response.text).not.toContain('lamp');
      expect(response.text).not.toContain('inside');
    }
  });

  it.each(places)('is that problem from wherever it is thrown: %s', async (place) => {
    for (const [Thrown, status] of [
      [ConflictException, 409],
      [ForbiddenException, 403],
      [NotFoundException, 404],
    ] as const) {
      const response = await call(place, new Thrown('The lamp is out.'));
      expect([place, response.status, response.body.detail]).toEqual([place, status, 'The lamp is out.']);
      expectProblem(response);
    }
    expectProblem(await call(place, new Error('inside')), 'internal-error');
  });

  it('may have a code of the module’s own with the status of that, and no other', async () => {
    const detail = 'There is none left.';
    for (const form of [
      new ConflictException(detail, { errorCode: 'out-of-stock' }),
      new ConflictException({ message: detail, code: 'out-of-stock' }),
    ])
      expectProblem(await call('handler', form), 'out-of-stock');
    for (const code of ['not-allowed', 'unheard-of', '__proto__'])
      expectProblem(await call('handler', new ConflictException(detail, { errorCode: code })), 'conflict');
  });

  it.each([400, 404, 409, 423, 429, 451, 500, 503])('with any status: %i', async (status) => {
    const response = await call('handler', new HttpException('The lamp is out.', status));
    expect(response.status).toBe(status);
    expectProblem(response);
  });

  it.each([499, 430, 599, 520])('with a status that has no code of its own: %i', async (status) => {
    const response = await call('handler', new HttpException('The lamp is out.', status));
    expect([response.status, response.body.status]).toEqual([status, status]);
    expect(problemOf(response.body.code)).toBeDefined();
  });

  it.each([200, 302, 0, 999, 409.5])('with a status that refuses nothing is a mistake of ours: %d', async (status) => {
    const response = await call('handler', new HttpException('The lamp is out.', status));
    expect(response.status).toBe(500);
    expectProblem(response, 'internal-error');
  });
});

describe('what else Nest and packages for it throw', () => {
  it('a guard that says no', async () => expectProblem(await call('refusing-guard'), 'forbidden'));

  it('a pipe of Nest', async () => {
    const response = await request(service.url).get('/thrown/parsed?n=x');
    expect([response.status, response.body.detail]).toEqual([400, 'Validation failed (numeric string is expected)']);
    expectProblem(response, 'bad-request');
  });

  it('an error of http-errors, whose message is passed on only where it says so', async () => {
    const error = (statusCode: number, expose: boolean) =>
      Object.assign(new Error('The lamp is out.'), { statusCode, status: statusCode, expose });
    for (const place of ['handler', 'middleware'] as const) {
      expect((await call(place, error(409, true))).body).toMatchObject({
        code: 'conflict',
        detail: 'The lamp is out.',
      });
      expect((await call(place, error(409, false))).body).toMatchObject({ code: 'conflict', detail: 'Conflict.' });
    }
  });

  it('an error of another service’s answer is a fault of ours, whatever status it tells of', async () => {
    for (const status of [404, 409, 503])
      expectProblem(
        await call('handler', Object.assign(new Error('inside'), { statusCode: status, status })),
        'internal-error',
      );
  });

  it.each([undefined, null, 'text', 7, { status: 404 }])('no error at all: %j', async (what) => {
    expectProblem(await call('handler', what), 'internal-error');
  });
});
