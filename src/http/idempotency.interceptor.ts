import { type CallHandler, type ExecutionContext, Inject, Injectable, type NestInterceptor } from '@nestjs/common';
import { Reflector } from '@nestjs/core';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { defer, lastValueFrom, type Observable } from 'rxjs';
import { AuthConfig, type Config } from '../config/config.ts';
import {
  Fingerprints,
  IDEMPOTENCY,
  idempotentReplayed,
  type KeyedRequest,
  type KeyNeed,
  keyIn,
  markKeyed,
  type StoredResponse,
} from './idempotency.ts';
import { type Handled, IdempotencyService } from './idempotency.service.ts';
import { RepeatedRequest } from './idempotent-request.ts';
import { minimal, prefersMinimal } from './preference.interceptor.ts';
import type { Signed } from './principal.ts';
import { Strangers } from './strangers.ts';
import { answerFor, bodyOf } from './problem.ts';
import { type Shown, shownAs } from './returns.ts';

type Request = FastifyRequest & Signed;

/** Headers by which the route itself says something; the rest belong to the request that is answered now. */
export const kept = ['etag', 'location', 'preference-applied'] as const;
// The input was refused before anything was done, so the same key is good for the request as it was meant.
const notDone = 'validation-failed';

/**
 * Answers a request that has been answered before as it was then; see {@link IdempotencyService}. Outside the others but the preparation,
 * so that it sees the body as it leaves.
 */
@Injectable()
export class IdempotencyInterceptor implements NestInterceptor {
  private readonly fingerprints: Fingerprints;
  private readonly strangers: Strangers;

  constructor(
    private readonly reflector: Reflector,
    private readonly idempotency: IdempotencyService,
    @Inject(AuthConfig.KEY) auth: Config['auth'],
  ) {
    this.fingerprints = new Fingerprints(auth.secret);
    this.strangers = new Strangers(auth.secret);
  }

  intercept(context: ExecutionContext, next: CallHandler): Observable<unknown> {
    const need = this.reflector.get<KeyNeed | undefined>(IDEMPOTENCY, context.getHandler());
    const request = context.switchToHttp().getRequest<Request>();
    const key = need === undefined ? null : keyIn(request, need);
    if (key === null) return next.handle();
    markKeyed(request);
    const reply = context.switchToHttp().getResponse<FastifyReply>();
    const { statusCode } = reply;
    const responseTo = (value: unknown): StoredResponse => {
      const shown = shownAs(context.getHandler(), statusCode, value);
      return stored(prefersMinimal(request) ? minimal(shown) : shown);
    };
    return defer(() =>
      this.idempotency.once(
        this.keyed(request, key),
        responseTo,
        () => handled(next, request, reply),
        (response) => repeated(response, reply),
      ),
    );
  }

  private keyed(request: Request, key: string): KeyedRequest {
    return {
      principalId: request.principal?.userId ?? this.strangers.idOf(request),
      route: `${request.method} ${request.routeOptions.url}`,
      key,
      fingerprint: this.fingerprints.of(request),
    };
  }
}

/** Thrown where a refusal is repeated: the request is refused as it was at first. */
export class RepeatedRefusal extends Error {
  constructor(private readonly response: StoredResponse) {
    super('refused again');
  }

  send(reply: FastifyReply): void {
    void reply.status(this.response.status).headers(this.response.headers).header(idempotentReplayed, 'true');
    void reply.type('application/problem+json').send(this.response.body);
  }
}

function repeated(response: StoredResponse, reply: FastifyReply): unknown {
  if (response.status >= 400) throw new RepeatedRefusal(response);
  for (const name of kept) void reply.removeHeader(name);
  void reply.status(response.status).headers(response.headers).header(idempotentReplayed, 'true');
  return response.body === '' ? undefined : (JSON.parse(response.body) as unknown);
}

async function handled(next: CallHandler, request: FastifyRequest, reply: FastifyReply): Promise<Handled<unknown>> {
  try {
    const body: unknown = await lastValueFrom(next.handle(), { defaultValue: undefined });
    const headers = kept.flatMap((name) => (reply.hasHeader(name) ? [[name, String(reply.getHeader(name))]] : []));
    const response = stored({
      status: reply.statusCode,
      headers: Object.fromEntries(headers) as Shown['headers'],
      body,
    });
    return { response, pass: () => body };
  } catch (error) {
    return {
      response: refusalOf(error, request),
      pass: () => {
        throw error;
      },
    };
  }
}

const stored = ({ status, headers, body }: Shown): StoredResponse => ({
  status,
  headers,
  body: body === undefined ? '' : JSON.stringify(body),
});

/** Null for what the same request may yet be granted. */
function refusalOf(error: unknown, request: FastifyRequest): StoredResponse | null {
  if (error instanceof RepeatedRequest) return null;
  const answer = answerFor(error);
  const isFinal = answer.status >= 402 && answer.status < 500 && !answer.retryable && answer.code !== notDone;
  if (!isFinal) return null;
  return { status: answer.status, headers: answer.headers, body: JSON.stringify(bodyOf(answer, request)) };
}
