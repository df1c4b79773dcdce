import {
  applyDecorators,
  type CallHandler,
  createParamDecorator,
  type ExecutionContext,
  Inject,
  Injectable,
  type NestInterceptor,
} from '@nestjs/common';
import { ApiHeader } from '@nestjs/swagger';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { type Observable, tap } from 'rxjs';
import type { Config } from '../../config/config.ts';
import { HttpConfig } from '../../config/slices.ts';
import { outermost } from '../outermost.ts';

const mostSeconds = 25;

/** How long whoever asks would wait for something to be answered with. */
export interface Patience {
  /** 0 where nobody asked to wait. */
  readonly waitMs: number;
  /** Aborted when the caller has gone away. */
  readonly gone: AbortSignal;
  /** To be called before it waits: who waits takes no place of those who are being answered. */
  readonly standAside: () => void;
}

declare module 'fastify' {
  interface FastifyRequest {
    patience?: Patience;
  }
}

/** The seconds of the first `wait` among the preferences (RFC 7240, section 4.3); 0 where it is none. */
function secondsIn({ headers: { prefer } }: FastifyRequest): number {
  const preferences = [prefer ?? []].flat().join(',').split(',');
  const wanted = preferences.map((one) => (one.split(';')[0] ?? '').replaceAll(/[\s"]/g, '').toLowerCase());
  const [, seconds = '0'] = /^wait=(\d{1,9})$/.exec(wanted.find((one) => one.startsWith('wait=')) ?? '') ?? [];
  return Number(seconds);
}

@Injectable()
class WaitingInterceptor implements NestInterceptor {
  private readonly most: number;

  // A connection on which nothing is sent for longer than HTTP_RESPONSE_TIMEOUT_MS is closed.
  constructor(@Inject(HttpConfig.KEY) { responseTimeoutMs }: Config['http']) {
    this.most = Math.min(mostSeconds, Math.floor(responseTimeoutMs / 2000));
  }

  intercept(context: ExecutionContext, next: CallHandler): Observable<unknown> {
    const [request, reply] = [
      context.switchToHttp().getRequest<FastifyRequest>(),
      context.switchToHttp().getResponse<FastifyReply>(),
    ];
    const seconds = Math.min(secondsIn(request), this.most);
    request.patience = patienceOf(request, reply, seconds);
    return next.handle().pipe(tap(() => seconds > 0 && void reply.header('preference-applied', `wait=${seconds}`)));
  }
}

function patienceOf(request: FastifyRequest, { raw }: FastifyReply, seconds: number): Patience {
  const gone = new AbortController();
  if (seconds > 0) raw.once('close', () => gone.abort());
  return { waitMs: seconds * 1000, gone: gone.signal, standAside: () => request.leaveFlight() };
}

/** The route waits for something to answer with where `Prefer: wait` asks for that. */
export const MayWait = (): MethodDecorator =>
  applyDecorators(
    outermost(WaitingInterceptor),
    ApiHeader({
      name: 'Prefer',
      required: false,
      description: `\`wait=20\` (RFC 7240): waits so many seconds, at most ${mostSeconds}, for something to answer with`,
      schema: { type: 'string', examples: ['wait=20'] },
    }),
  );

/** Parameter: how long whoever asks would wait. On {@link MayWait} routes. */
export const Waiting = createParamDecorator(
  (_: unknown, context: ExecutionContext): Patience | undefined =>
    context.switchToHttp().getRequest<FastifyRequest>().patience,
);
