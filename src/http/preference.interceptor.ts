import { type CallHandler, type ExecutionContext, Injectable, type NestInterceptor } from '@nestjs/common';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { map, type Observable } from 'rxjs';
import type { Shown } from './returns.ts';

/**
 * `Prefer: return=minimal` (RFC 7240, section 4.2) on a write: the body stays away, the headers do not. What was made is answered 201 as
 * ever and can be read at its Location; what was changed is answered 204. An answer that could not be read again, such as the tokens of
 * a log-in, is given all the same: a preference may be left alone.
 */
@Injectable()
export class PreferenceInterceptor implements NestInterceptor {
  intercept(context: ExecutionContext, next: CallHandler): Observable<unknown> {
    const http = context.switchToHttp();
    const request = http.getRequest<FastifyRequest>();
    if (!prefersMinimal(request)) return next.handle();
    const reply = http.getResponse<FastifyReply>();
    return next.handle().pipe(
      map((value: unknown) => {
        const location = reply.getHeader('location');
        const shown = {
          status: reply.statusCode,
          headers: location === undefined ? {} : { location: String(location) },
        };
        const { status, headers, body } = minimal({ ...shown, body: value });
        void reply.status(status).headers(headers);
        return body;
      }),
    );
  }
}

/** Whether the request asks for an answer without a body, and is one that may have it. */
export function prefersMinimal({ method, headers: { prefer } }: FastifyRequest): boolean {
  if (method === 'GET' || method === 'HEAD') return false;
  const preferences = [prefer ?? []].flat().join(',').split(',');
  const wanted = preferences.map((one) => (one.split(';')[0] ?? '').trim().toLowerCase().replaceAll(/\s|"/g, ''));
  // The first `return` among the preferences counts.
  return wanted.find((one) => one.startsWith('return=')) === 'return=minimal';
}

/** The response without its body, where that may be left out. */
export function minimal(shown: Shown): Shown {
  const { status, headers, body } = shown;
  const mayBeLeftOut = body !== undefined && (status === 200 || (status === 201 && 'location' in headers));
  if (!mayBeLeftOut) return shown;
  return {
    status: status === 200 ? 204 : status,
    headers: { ...headers, 'preference-applied': 'return=minimal' },
    body: undefined,
  };
}
