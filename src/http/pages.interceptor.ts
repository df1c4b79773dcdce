import { type CallHandler, type ExecutionContext, Injectable, type NestInterceptor } from '@nestjs/common';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { map, type Observable } from 'rxjs';
import { Cursors } from './cursors.ts';

interface Shown {
  readonly object?: unknown;
  readonly nextCursor?: string | null;
}

/** Seals the cursor of each page that goes out, and says in `Link` (RFC 8288) where the next page and the first one are. */
@Injectable()
export class PagesInterceptor implements NestInterceptor {
  constructor(private readonly cursors: Cursors) {}

  intercept(context: ExecutionContext, next: CallHandler): Observable<unknown> {
    const http = context.switchToHttp();
    return next.handle().pipe(
      map((body: Shown | undefined) => {
        if (body?.object !== 'list' || body.nextCursor === undefined) return body;
        const nextCursor = body.nextCursor === null ? null : this.cursors.seal(body.nextCursor);
        const { url } = http.getRequest<FastifyRequest>();
        void http.getResponse<FastifyReply>().header('link', linksOf(url, nextCursor));
        return { ...body, nextCursor };
      }),
    );
  }
}

/** The same list with the same filter and limit: its next page, unless this is the last one, and its first. */
function linksOf(url: string, nextCursor: string | null): string {
  const [path = '', query = ''] = url.split('?');
  const parameters = new URLSearchParams(query);
  parameters.delete('cursor');
  const first = `<${path}${parameters.size > 0 ? `?${parameters}` : ''}>; rel="first"`;
  if (nextCursor === null) return first;
  parameters.set('cursor', nextCursor);
  return `<${path}?${parameters}>; rel="next", ${first}`;
}
