import { type CallHandler, type ExecutionContext, Injectable, type NestInterceptor } from '@nestjs/common';
import type { FastifyRequest } from 'fastify';
import { defer, lastValueFrom, type Observable } from 'rxjs';
import type { z } from 'zod';
import { nobody, scopeOf } from '../../kernel/principal.ts';
import { Transactions } from '../../transactions/transactions.ts';
import type { AuthenticatedRequest } from '../access/principal.ts';
import { Views } from '../responses/views.ts';
import { factsOf } from '../route-facts.ts';
import { namesIn } from './expand-query.ts';
import { relationsOf } from './expandable.ts';
import { type ExpansionRequest, Expansions, type ExpansionTree } from './expansions.ts';

type Request = FastifyRequest & AuthenticatedRequest;
type Shown = ExpansionRequest['thing'];

const reads: ReadonlySet<string> = new Set(['GET', 'HEAD']);

/** `?expand=` on a GET whose view is `expandable`, which `@Returns` adds this to: the answer and what is expanded in it are of one snapshot. */
@Injectable()
export class ExpansionInterceptor implements NestInterceptor {
  constructor(
    private readonly expansions: Expansions,
    private readonly transactions: Transactions,
    private readonly views: Views,
  ) {}

  intercept(context: ExecutionContext, next: CallHandler): Observable<unknown> {
    const request = context.switchToHttp().getRequest<Request>();
    const shown = factsOf(request).answer?.view;
    const names = shown === undefined ? null : takeNames(request, shown);
    if (shown === undefined || names === null) return next.handle();
    const wanted = this.expansions.read(shown, names);
    return defer(() => this.expanded(request, next, shown, wanted));
  }

  private expanded(
    request: Request,
    next: CallHandler,
    view: z.ZodObject,
    wanted: readonly ExpansionTree[],
  ): Promise<unknown> {
    const name = `GET ${request.routeOptions.url}`;
    return this.transactions.run({ name, readOnly: true, isolation: 'repeatable-read' }, async () => {
      const body: Shown = this.views.show(view, await lastValueFrom(next.handle()));
      const things = body['object'] === 'list' ? (body['data'] as Shown[]) : [body];
      const scope = request.principal === undefined ? { userId: nobody } : scopeOf(request.principal);
      await this.expansions.expand(
        things.map((thing) => ({ thing, wanted })),
        scope,
      );
      request.shownBody = body;
      return body;
    });
  }
}

/** Takes `expand` out of the query, which is otherwise the route's own; null where nothing can be or is to be expanded. */
function takeNames(request: Request, shown: z.ZodType): string[] | null {
  const { expand, ...rest } = request.query as Record<string, string | string[] | undefined>;
  if (expand === undefined || !reads.has(request.method) || relationsOf(shown).length === 0) return null;
  request.query = rest;
  return namesIn(expand);
}
