import { Injectable } from '@nestjs/common';
import { FastifyAdapter } from '@nestjs/platform-fastify';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { Cursors } from '../pages/cursors.ts';
import { type PageBody, sealed } from '../pages/links.ts';
import { factsOf, type RouteFacts } from '../route-facts.ts';
import { minimal, prefersMinimal } from './preference.ts';
import type { Shown } from './shown.ts';
import { Views } from './views.ts';

/** A response that is written already. */
interface Written {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly text: string;
}

declare module 'fastify' {
  interface FastifyRequest {
    /** The body that is shown already as its view has it: nothing of it is to be shown once more. */
    shownBody: unknown;
    /** The response to a request with an Idempotency-Key, as it is stored: nothing that an interceptor makes of its body is sent. */
    written: Written | null;
  }
}

/** Makes the response to what the handler of a route returns. */
@Injectable()
export class Answers {
  constructor(
    private readonly views: Views,
    private readonly cursors: Cursors,
  ) {}

  /** Only what the view of the route names, in the form it has on the wire, with the status and the headers that go with it. */
  shownOf({ answer, otherStatus }: RouteFacts, request: FastifyRequest, status: number, body: unknown): Shown {
    if (answer === undefined) return { status, headers: {}, body };
    const isShown = body !== undefined && body === request.shownBody;
    const shown = (isShown ? body : this.views.show(answer.view, body)) as {
      readonly id?: string;
      readonly version?: number;
    };
    const headers: Record<string, string> = {};
    if (shown.version !== undefined) headers['etag'] = `"${shown.version}"`;
    if (answer.location !== null) headers['location'] = `${answer.location}/${shown.id}`;
    return { status: otherStatus?.isSo(body) === true ? otherStatus.status : status, headers, body: shown };
  }

  /** The same, without the body where the request asks for that. */
  preferredOf(request: FastifyRequest, status: number, body: unknown): Shown {
    const shown = this.shownOf(factsOf(request), request, status, body);
    return prefersMinimal(request) ? minimal(shown) : shown;
  }

  /** Sends the body as its route has it; gives it back where the route does not say what it answers with. */
  send(reply: FastifyReply, body: unknown): { readonly unsent: unknown } | null {
    const { request } = reply;
    const { written } = request;
    if (written !== null) {
      sendText(reply.status(written.status).headers(written.headers), written.text);
      return null;
    }
    const shown = this.preferredOf(request, reply.statusCode, body);
    void reply.status(shown.status).headers(shown.headers);
    const unsent = this.linked(reply, shown.body);
    if (factsOf(request).answer === undefined) return { unsent };
    sendText(reply, unsent === undefined ? '' : JSON.stringify(unsent));
    return null;
  }

  /** A page, with its cursor sealed; whatever else it is, as it is. */
  private linked(reply: FastifyReply, body: unknown): unknown {
    const page = body as PageBody;
    if (page?.object !== 'list' || page.nextCursor === undefined) return body;
    const { nextCursor, link } = sealed(page.nextCursor, reply.request.url, this.cursors);
    void reply.header('link', link);
    return { ...page, nextCursor };
  }
}

function sendText(reply: FastifyReply, text: string): void {
  if (text === '') void reply.send();
  else void reply.type('application/json; charset=utf-8').send(text);
}

/** Sends what handlers return by {@link Answers}, behind all interceptors. */
export class AnsweringAdapter extends FastifyAdapter {
  private answers: Answers | null = null;

  answerBy(answers: Answers): void {
    this.answers = answers;
    this.getInstance().decorateRequest('shownBody', undefined).decorateRequest('written', null);
  }

  // A status is given by who answers in place of a handler, such as a filter of a module.
  override reply(response: FastifyReply, body: unknown, status?: number): ReturnType<FastifyAdapter['reply']> {
    if (status !== undefined || this.answers === null) return super.reply(response, body, status);
    const left = this.answers.send(response, body);
    return left === null ? response : super.reply(response, left.unsent);
  }
}
