/** @servers any */
import { randomUUID } from 'node:crypto';
import { Controller, Injectable, Module, Param, Post } from '@nestjs/common';
import type { FastifyRequest } from 'fastify';
import pg from 'pg';
import request from 'supertest';
import { Public } from '../src/http/access/principal.ts';
import { Fingerprints } from '../src/http/idempotency/idempotency.ts';
import { Idempotent } from '../src/http/idempotency/idempotent.ts';
import { Transactional } from '../src/transactions/transactional.ts';
import { startApp, type TestApp } from './support/app.ts';
import { crowd } from './support/crowd.ts';
import { type Person, uuidOf } from './support/make.ts';
import { Marks, marksLike } from './support/marks.ts';
import { expectProblem } from './support/problem.ts';
import { testSecret } from './support/secret.ts';

/** Its handler answers with less than its boundary returns, so that under a key the result is kept first. */
@Injectable()
class Large {
  constructor(private readonly marks: Marks) {}

  @Transactional()
  async write(mark: string, size: number): Promise<{ text: string }> {
    await this.marks.write(mark);
    return { text: 'x'.repeat(size) };
  }
}

@Controller('v1/large')
class LargeController {
  constructor(private readonly large: Large) {}

  @Post(':mark/:size')
  @Public()
  @Idempotent('optional')
  async write(@Param('mark') mark: string, @Param('size') size: string) {
    const { text } = await this.large.write(mark, Number(size));
    return { length: text.length };
  }
}

@Module({ providers: [Marks, Large], controllers: [LargeController] })
class LargeModule {}

let service: TestApp;
let ada: Person;
let bob: Person;
beforeAll(async () => {
  service = await startApp({}, [LargeModule]);
  [ada, bob] = (await crowd(service, 2, { balance: 10_000 })) as [Person, Person];
});
afterAll(() => service.close());

const transfer = (type: 'direct' | 'pending') => ({
  fromAccountId: ada.accountId,
  toAccountId: bob.accountId,
  amount: { amount: 5, currency: 'EUR' },
  ...(type === 'pending' && { type }),
});

describe('the fingerprint of a request with an Idempotency-Key', () => {
  const sent = { url: '/v1/things/1', headers: {}, body: { amount: 1, note: 'a' } } as FastifyRequest;
  const of = (changed: object, secret = testSecret) =>
    new Fingerprints(secret).of({ ...sent, ...changed }).toString('hex');

  it('is that of the same members in another order, and of no other request', () => {
    expect(of({ body: { note: 'a', amount: 1 } })).toBe(of({}));
    const others = [
      { url: '/v1/things/2' },
      { headers: { 'if-match': '"1"' } },
      { headers: { 'if-match': '"2"' } },
      { body: { amount: 2, note: 'a' } },
      { body: undefined },
    ];
    expect(new Set([{}, ...others].map((changed) => of(changed))).size).toBe(1 + others.length);
  });

  it('cannot be computed without the secret of the service, as a password may be in it', () => {
    expect(of({}, 'another secret')).not.toBe(of({}));
  });
});

describe('a key', () => {
  it('that was sent to one thing is refused for another one on the same route', async () => {
    const [one, other] = await Promise.all(
      [1, 2].map(async () => (await ada.api.post('/v1/transfers', transfer('pending')).expect(201)).body.id as string),
    );
    const key = randomUUID();
    await ada.api.post(`/v1/transfers/${one}/post`).set('idempotency-key', key).expect(200);
    const answer = await ada.api.post(`/v1/transfers/${other}/post`).set('idempotency-key', key);
    expectProblem(answer, 'idempotency-key-reused');
    expect((await ada.api.get(`/v1/transfers/${other}`)).body.status).toBe('pending');
  });

  it('whose time is over is not answered while somebody does the request anew', async () => {
    const key = randomUUID();
    const send = () => ada.api.post('/v1/transfers', transfer('direct')).set('idempotency-key', key);
    await send().expect(201);
    await service.database.query(
      `UPDATE idempotency_record SET created_at = now() - interval '2 days', expires_at = now() - interval '1 day' WHERE key = $1`,
      [key],
    );
    const holder = new pg.Client({ connectionString: service.database.urls.app });
    await holder.connect();
    try {
      const name = `idempotency ${uuidOf(ada.id)} POST /v1/transfers ${key}`;
      await holder.query('SELECT pg_advisory_lock(hashtextextended($1, 0))', [name]);
      expectProblem(await send(), 'idempotency-key-in-use');
    } finally {
      await holder.end();
    }
  });

  it('keeps of the result of a boundary what fits a record, and stores nothing of what does not', async () => {
    const send = (mark: string, size: number) =>
      request(service.url).post(`/v1/large/${mark}/${size}`).set('idempotency-key', randomUUID());
    // By the first one it is known that the handler answers with something else than the result.
    await send('large-first', 10).expect(201);
    await send('large-second', 900_000).expect(201);
    await send('large-third', 1_000_001).expect(500);
    expect(await marksLike(service.database, 'large-')).toEqual(['large-first', 'large-second']);
  });
});
