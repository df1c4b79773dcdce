import { Injectable } from '@nestjs/common';
import type { FastifyInstance, FastifyRequest } from 'fastify';
import { Clock } from '../../kernel/clock.ts';
import { generalProblems } from '../../kernel/general.problems.ts';
import type { Principal } from '../../kernel/principal.ts';
import { AccessTokens } from './access-tokens.ts';

/** Who sends a request, or why that is not known. */
type Sender = Principal | 'token-missing' | 'invalid-token';

declare module 'fastify' {
  interface FastifyRequest {
    /** Null until somebody asks: {@link Authentication}. */
    sender: Sender | null;
  }
}

/** Knows who sends a request. The token is read once, however many ask. */
@Injectable()
export class Authentication {
  constructor(
    private readonly tokens: AccessTokens,
    private readonly clock: Clock,
  ) {}

  /** To be called before the first request. */
  prepare(fastify: FastifyInstance): void {
    fastify.decorateRequest('sender', null);
  }

  /** Throws token-missing, invalid-token. */
  recognise(request: FastifyRequest): Principal {
    const sender = this.senderOf(request);
    if (sender === 'token-missing') throw generalProblems.tokenMissing('Send an access token: Authorization: Bearer …');
    if (sender === 'invalid-token') throw generalProblems.invalidToken('The access token is not valid or has expired.');
    return sender;
  }

  /** Whether it shows a token that is good. */
  isKnown(request: FastifyRequest): boolean {
    return typeof this.senderOf(request) === 'object';
  }

  /** Whose session it is that is to be ended; null when no access token is shown. Throws invalid-token. */
  leaving(request: FastifyRequest): Principal | null {
    const token = tokenIn(request);
    if (token === undefined) return null;
    const leaver = this.tokens.readOver(token);
    if (leaver === null) throw generalProblems.invalidToken('The access token is not valid.');
    return leaver;
  }

  private senderOf(request: FastifyRequest): Sender {
    return (request.sender ??= this.read(tokenIn(request)));
  }

  private read(token: string | undefined): Sender {
    if (token === undefined) return 'token-missing';
    return this.tokens.read(token, this.clock.now()) ?? 'invalid-token';
  }
}

// RFC 9110, section 11.4: one blank or more.
const tokenIn = ({ headers }: FastifyRequest): string | undefined =>
  /^Bearer +([\w.-]{1,4096})$/i.exec(headers.authorization ?? '')?.[1];
