import { Injectable } from '@nestjs/common';
import type { FastifyRequest } from 'fastify';
import { Clock } from '../kernel/clock.ts';
import { unauthorized } from '../kernel/errors.ts';
import type { Principal } from '../kernel/principal.ts';
import { AccessTokens } from './access-tokens.ts';

/** Knows who sends a request. The token is read once, however many ask. */
@Injectable()
export class Callers {
  private readonly known = new WeakMap<FastifyRequest, Promise<Principal>>();

  constructor(
    private readonly tokens: AccessTokens,
    private readonly clock: Clock,
  ) {}

  /** Throws token-missing, invalid-token. */
  recognise(request: FastifyRequest): Promise<Principal> {
    const principal = this.known.get(request) ?? this.read(request);
    this.known.set(request, principal);
    return principal;
  }

  /** Whose session it is that is to be ended; null when no access token is shown. Throws invalid-token. */
  leaving(request: FastifyRequest): Principal | null {
    const token = tokenIn(request);
    return token === undefined ? null : this.tokens.readOver(token);
  }

  private async read(request: FastifyRequest): Promise<Principal> {
    const token = tokenIn(request);
    if (token === undefined) throw unauthorized('token-missing', 'Send an access token: Authorization: Bearer …');
    return this.tokens.read(token, this.clock.now());
  }
}

// RFC 9110, section 11.4: one blank or more.
const tokenIn = ({ headers }: FastifyRequest): string | undefined =>
  /^Bearer +([\w.-]{1,4096})$/i.exec(headers.authorization ?? '')?.[1];
