import type { ServerResponse } from 'node:http';
import { type ArgumentsHost, Catch, type ExceptionFilter, Logger } from '@nestjs/common';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { noteProblem } from '../access/asker.ts';
import { explainMismatch } from '../conditional/if-match.ts';
import { kept, RepeatedRefusal } from '../idempotency/idempotency.interceptor.ts';
import { isKeyed } from '../idempotency/idempotency.ts';
import { replyOf } from '../responses/replies.ts';
import { answerFor, bodyOf, withKey } from './problem.ts';
import type { Answer } from './problem-answer.ts';

/** Answers everything thrown as application/problem+json, and logs what is our own fault. */
@Catch()
export class ProblemFilter implements ExceptionFilter {
  private readonly logger = new Logger(ProblemFilter.name);

  catch(thrown: unknown, host: ArgumentsHost): void {
    const reply = replyOf(host.switchToHttp().getResponse<FastifyReply | ServerResponse>());
    this.send(thrown, reply.request, reply);
  }

  send(thrown: unknown, request: FastifyRequest, reply: FastifyReply): void {
    // Said of work that was not stored after all, or that was done again since.
    for (const name of kept) void reply.removeHeader(name);
    if (thrown instanceof RepeatedRefusal) return thrown.send(reply);
    const told = answerFor(explainMismatch(thrown, request));
    const answer = isKeyed(request) ? withKey(told) : told;
    noteProblem(request, answer.code);
    if (answer.status >= 500 && answer.status !== 503) this.logger.error({ err: thrown }, 'request failed');
    if (answer.status === 503) this.logger.warn({ err: thrown, code: answer.code }, 'request refused');
    // What the router refuses passes no hook: the id is sent from here.
    void reply.status(answer.status).headers({ ...headersFor(answer, request), 'request-id': request.id });
    void reply.type('application/problem+json').send(bodyOf(answer, request));
  }
}

/** What goes with a problem besides what its code brings: nobody keeps it, and a wrong media type is told what is right. */
function headersFor({ headers, status }: Answer, { method }: FastifyRequest): Record<string, string> {
  // For POST and PATCH there is a header of its own (RFC 5789, section 3.1), for other methods none.
  const own = method === 'POST' || method === 'PATCH' ? `accept-${method.toLowerCase()}` : 'accept';
  const right = { accept: 'application/json', [own]: 'application/json' };
  return { 'cache-control': 'no-store', ...(status === 415 && right), ...headers };
}
