import { type ArgumentsHost, Catch, type ExceptionFilter, Logger } from '@nestjs/common';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { noteProblem } from './asker.ts';
import { kept, RepeatedRefusal } from './idempotency.interceptor.ts';
import { isKeyed } from './idempotency.ts';
import { answerFor, bodyOf, withKey } from './problem.ts';

/** Answers everything thrown as application/problem+json, and logs what is our own fault. */
@Catch()
export class ProblemFilter implements ExceptionFilter {
  private readonly logger = new Logger(ProblemFilter.name);

  catch(thrown: unknown, host: ArgumentsHost): void {
    const http = host.switchToHttp();
    this.send(thrown, http.getRequest<FastifyRequest>(), http.getResponse<FastifyReply>());
  }

  send(thrown: unknown, request: FastifyRequest, reply: FastifyReply): void {
    // Said of work that was not stored after all, or that was done again since.
    for (const name of kept) void reply.removeHeader(name);
    if (thrown instanceof RepeatedRefusal) return thrown.send(reply);
    const answer = isKeyed(request) ? withKey(answerFor(thrown)) : answerFor(thrown);
    noteProblem(request.raw, answer.code);
    if (answer.status === 500) this.logger.error({ err: thrown }, 'request failed');
    if (answer.status === 503) this.logger.warn({ err: thrown, code: answer.code }, 'request refused');
    // What the router refuses passes no hook: the id is sent from here.
    void reply.status(answer.status).headers({ ...answer.headers, 'request-id': request.id });
    void reply.type('application/problem+json').send(bodyOf(answer, request));
  }
}
