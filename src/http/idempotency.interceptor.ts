import { type CallHandler, type ExecutionContext, Inject, Injectable, type NestInterceptor } from '@nestjs/common';
import { Reflector } from '@nestjs/core';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { defer, lastValueFrom, type Observable } from 'rxjs';
import { AuthConfig, type Config } from '../config/config.ts';
import { nobody } from '../kernel/principal.ts';
import {
  Fingerprints,
  IDEMPOTENCY,
  idempotentReplayed,
  type KeyNeed,
  keyIn,
  type OnceOnly,
  type StoredAnswer,
} from './idempotency.ts';
import { type Given, IdempotencyService } from './idempotency.service.ts';
import type { Signed } from './principal.ts';
import { answerFor, bodyOf } from './problem.ts';

type Request = FastifyRequest & Signed;

/** Headers by which the route itself says something; the rest belong to the request that is answered now. */
export const kept = ['etag', 'location', 'preference-applied'] as const;
// The input was refused before anything was done, so the same key is good for the request as it was meant.
const notDone = 'validation-failed';

/** Answers a request that has been answered before as it was then; see {@link IdempotencyService}. Outside the others but the preparation, so that it sees the body as it leaves. */
@Injectable()
export class IdempotencyInterceptor implements NestInterceptor {
  private readonly fingerprints: Fingerprints;

  constructor(
    private readonly reflector: Reflector,
    private readonly idempotency: IdempotencyService,
    @Inject(AuthConfig.KEY) auth: Config['auth'],
  ) {
    this.fingerprints = new Fingerprints(auth.secret);
  }

  intercept(context: ExecutionContext, next: CallHandler): Observable<unknown> {
    const need = this.reflector.get<KeyNeed | undefined>(IDEMPOTENCY, context.getHandler());
    const request = context.switchToHttp().getRequest<Request>();
    const key = need === undefined ? null : keyIn(request, need);
    if (key === null) return next.handle();
    const reply = context.switchToHttp().getResponse<FastifyReply>();
    return defer(async () => {
      const given = await this.idempotency.once(this.onceOnly(request, key), {
        work: () => shownBy(next, reply),
        refusal: (error) => refusalOf(error, request),
      });
      throw new Answered(given);
    });
  }

  private onceOnly(request: Request, key: string): OnceOnly {
    return {
      principalId: request.principal?.userId ?? nobody,
      route: `${request.method} ${request.routeOptions.url}`,
      key,
      fingerprint: this.fingerprints.of(request),
    };
  }
}

/** Thrown, but no error: an answer with a status of its own, which only the filter can give. */
export class Answered extends Error {
  constructor(private readonly given: Given) {
    super('answered');
  }

  send(reply: FastifyReply): void {
    const { answer, isReplayed } = this.given;
    void reply.status(answer.status).headers(answer.headers);
    if (isReplayed) void reply.header(idempotentReplayed, 'true');
    if (answer.body !== '')
      void reply.type(answer.status < 400 ? 'application/json; charset=utf-8' : 'application/problem+json');
    void reply.send(answer.body);
  }
}

async function shownBy(next: CallHandler, reply: FastifyReply): Promise<StoredAnswer> {
  const body: unknown = await lastValueFrom(next.handle(), { defaultValue: undefined });
  const headers = kept.flatMap((name) => (reply.hasHeader(name) ? [[name, String(reply.getHeader(name))]] : []));
  return {
    status: reply.statusCode,
    headers: Object.fromEntries(headers) as Record<string, string>,
    body: body === undefined ? '' : JSON.stringify(body),
  };
}

/** Null for what the same request may yet be granted. */
function refusalOf(error: unknown, request: FastifyRequest): StoredAnswer | null {
  const answer = answerFor(error);
  const isFinal = answer.status >= 402 && answer.status < 500 && !answer.retryable && answer.code !== notDone;
  if (!isFinal) return null;
  return { status: answer.status, headers: answer.headers, body: JSON.stringify(bodyOf(answer, request)) };
}
