import { type CallHandler, type ExecutionContext, Inject, Injectable, type NestInterceptor } from '@nestjs/common';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { defer, lastValueFrom, type Observable } from 'rxjs';
import type { Config } from '../../config/config.ts';
import { AuthConfig } from '../../config/slices.ts';
import type { AuthenticatedRequest } from '../access/principal.ts';
import { Strangers } from '../access/strangers.ts';
import { explainMismatch } from '../conditional/if-match.ts';
import { prepareOnce } from '../input/preparation.ts';
import { answerFor, bodyOf } from '../problems/problem.ts';
import { Answers } from '../responses/answers.ts';
import type { Shown } from '../responses/shown.ts';
import { factsOf } from '../route-facts.ts';
import { type Handled, IdempotencyService } from './idempotency.service.ts';
import {
  Fingerprints,
  idempotentReplayed,
  type KeyedRequest,
  keyIn,
  markKeyed,
  type StoredResponse,
} from './idempotency.ts';
import { RepeatedRequest } from './idempotent-request.ts';

type Request = FastifyRequest & AuthenticatedRequest;

/** Headers by which the route itself says something; the rest belong to the request that is answered now. */
export const kept = ['etag', 'location', 'preference-applied'] as const;
// The input was refused before anything was done, so the same key is good for the request as it was meant.
const notDone = 'validation-failed';

/**
 * Answers a request that has been answered before as it was then; see {@link IdempotencyService}. What is stored is what is sent: the response
 * is written here, as the view of the route and the preference of the caller have it.
 */
@Injectable()
export class IdempotencyInterceptor implements NestInterceptor {
  private readonly fingerprints: Fingerprints;
  private readonly strangers: Strangers;

  constructor(
    private readonly answers: Answers,
    private readonly idempotency: IdempotencyService,
    @Inject(AuthConfig.KEY) auth: Config['auth'],
  ) {
    this.fingerprints = new Fingerprints(auth.secret);
    this.strangers = new Strangers(auth.secret);
  }

  intercept(context: ExecutionContext, next: CallHandler): Observable<unknown> {
    const request = context.switchToHttp().getRequest<Request>();
    const { keyNeed } = factsOf(request);
    const key = keyNeed === undefined ? null : keyIn(request, keyNeed);
    if (key === null) return next.handle();
    markKeyed(request);
    const reply = context.switchToHttp().getResponse<FastifyReply>();
    return defer(() => this.once(request, reply, key, next));
  }

  private async once(request: Request, reply: FastifyReply, key: string, next: CallHandler): Promise<unknown> {
    await prepareOnce(request);
    const { statusCode } = reply;
    return this.idempotency.once(
      this.keyed(request, key),
      (value) => stored(this.answers.preferredOf(request, statusCode, value)),
      () => this.handled(next, request, reply),
      (response) => repeated(response, request, reply),
    );
  }

  private async handled(next: CallHandler, request: Request, reply: FastifyReply): Promise<Handled<unknown>> {
    try {
      const body: unknown = await lastValueFrom(next.handle(), { defaultValue: undefined });
      const shown = this.answers.preferredOf(request, reply.statusCode, body);
      const given = kept.flatMap((name) => (reply.hasHeader(name) ? [[name, String(reply.getHeader(name))]] : []));
      const response = stored({
        ...shown,
        headers: { ...(Object.fromEntries(given) as Shown['headers']), ...shown.headers },
      });
      return { response, pass: () => written(request, body, response) };
    } catch (error) {
      return {
        response: refusalOf(explainMismatch(error, request), request),
        pass: () => {
          throw error;
        },
      };
    }
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

function repeated(response: StoredResponse, request: Request, reply: FastifyReply): unknown {
  if (response.status >= 400) throw new RepeatedRefusal(response);
  for (const name of kept) void reply.removeHeader(name);
  void reply.header(idempotentReplayed, 'true');
  return written(request, response.body === '' ? undefined : (JSON.parse(response.body) as unknown), response);
}

/** Has this body sent as the response that is stored. */
function written(request: Request, body: unknown, { status, headers, body: text }: StoredResponse): unknown {
  request.written = { status, headers, text };
  return body;
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
