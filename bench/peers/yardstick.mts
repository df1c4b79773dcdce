// The yardstick: a bare route of Nest on Fastify, and a route by hand with what every route of the service needs but the database: the token,
// the form of the body, a context, headers, an ETag and a line of the log. `<secret of the tokens>`.
import 'reflect-metadata';
import { AsyncLocalStorage } from 'node:async_hooks';
import { hash } from 'node:crypto';
import { Body, type CanActivate, Controller, type ExecutionContext, Get, Injectable, Post } from '@nestjs/common';
import { APP_GUARD, NestFactory } from '@nestjs/core';
import { FastifyAdapter, type NestFastifyApplication } from '@nestjs/platform-fastify';
import pino from 'pino';
import { z } from 'zod';
import { decorateClass, decorateMethod, decorateParameters, moduleOf } from './by-hand.mts';
import { sayReady } from './peer.mts';
import { verifierOf } from './tokens.mts';

const verify = verifierOf(process.argv[2] ?? '');
const log = pino({ base: null }, pino.destination({ dest: '/dev/null', sync: false, minLength: 4096 }));
const context = new AsyncLocalStorage<object>();
const isBare = (url: string | undefined): boolean => url === '/livez';

const accountId = z.string().regex(/^acct_[0-7][0-9a-z]{25}$/);
const NewTransfer = z.strictObject({
  fromAccountId: accountId,
  toAccountId: accountId,
  amount: z.strictObject({ amount: z.int().min(1), currency: z.enum(['EUR', 'USD']) }),
});
type NewTransfer = z.infer<typeof NewTransfer>;

class TokenGuard implements CanActivate {
  canActivate(execution: ExecutionContext): boolean {
    const request = execution.switchToHttp().getRequest<{ url: string; headers: Record<string, string> }>();
    return isBare(request.url) || verify(request.headers['authorization']);
  }
}
decorateClass(TokenGuard, Injectable());

class Routes {
  livez() {
    return { status: 'ok' };
  }

  async transfer(body: NewTransfer) {
    await Promise.resolve(context.getStore());
    return { object: 'transfer', id: 'tr_01', ...body, status: 'posted', createdAt: new Date().toISOString() };
  }
}
decorateClass(Routes, Controller());
decorateMethod(Routes, 'livez', Get('livez'));
decorateMethod(Routes, 'transfer', Post('v1/transfers'));
decorateParameters(Routes, 'transfer', Body({ transform: (body: unknown) => NewTransfer.parse(body) }));

const AppModule = moduleOf({ controllers: [Routes], providers: [{ provide: APP_GUARD, useClass: TokenGuard }] });
const app = await NestFactory.create<NestFastifyApplication>(AppModule, new FastifyAdapter(), { logger: ['error'] });
const fastify = app.getHttpAdapter().getInstance();
fastify.addHook('onRequest', (request, _, done) => (isBare(request.url) ? done() : context.run({}, done)));
fastify.addHook('onSend', (request, reply, payload, done) => {
  if (!isBare(request.url)) {
    const etag = hash('sha256', String(payload), 'base64url').slice(0, 16);
    void reply.headers({ 'request-id': request.id, etag: `"${etag}"`, ratelimit: '"p";r=1;t=1' });
  }
  done(null, payload);
});
fastify.addHook('onResponse', ({ id, method, url }, { statusCode, elapsedTime }, done) => {
  if (!isBare(url))
    log.info({ requestId: id, method, path: url, status: statusCode, responseTime: elapsedTime }, 'request');
  done();
});
await app.listen(0, '127.0.0.1');
await sayReady(await app.getUrl());
