import { type CallHandler, type ExecutionContext, Injectable, type NestInterceptor } from '@nestjs/common';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { map, type Observable } from 'rxjs';

/**
 * `Prefer: return=minimal` (RFC 7240, section 4.2) on a write: the body stays away, the headers do not. What was made is answered 201 as
 * ever and can be read at its Location; what was changed is answered 204. An answer that could not be read again, such as the tokens of
 * a log-in, is given all the same: a preference may be left alone.
 */
@Injectable()
export class PreferenceInterceptor implements NestInterceptor {
  intercept(context: ExecutionContext, next: CallHandler): Observable<unknown> {
    const http = context.switchToHttp();
    const { method, headers } = http.getRequest<FastifyRequest>();
    if (method === 'GET' || method === 'HEAD' || !prefersMinimal(headers['prefer'])) return next.handle();
    const reply = http.getResponse<FastifyReply>();
    return next.handle().pipe(map((body: unknown) => (mayBeLeftOut(reply, body) ? leaveOut(reply) : body)));
  }
}

const mayBeLeftOut = (reply: FastifyReply, body: unknown): boolean =>
  body !== undefined && (reply.statusCode === 200 || (reply.statusCode === 201 && reply.hasHeader('location')));

function leaveOut(reply: FastifyReply): undefined {
  void reply.header('preference-applied', 'return=minimal');
  if (reply.statusCode === 200) void reply.status(204);
}

/** Whether the first `return` among the preferences, which counts, is `minimal`. */
function prefersMinimal(prefer: string | string[] | undefined): boolean {
  const preferences = [prefer ?? []].flat().join(',').split(',');
  const wanted = preferences.map((one) => (one.split(';')[0] ?? '').trim().toLowerCase().replaceAll(/\s|"/g, ''));
  return wanted.find((one) => one.startsWith('return=')) === 'return=minimal';
}
