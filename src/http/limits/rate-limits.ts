import { createHash } from 'node:crypto';
import { Inject, Injectable } from '@nestjs/common';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import type { Config } from '../../config/config.ts';
import { RateLimitsConfig } from '../../config/slices.ts';
import { canonicalEmail } from '../../kernel/email.ts';
import { MisuseError } from '../../kernel/loggable-error.ts';
import type { ProblemError } from '../../kernel/problem.ts';
import { Authentication } from '../access/authentication.ts';
import { httpProblems } from '../problems/http.problems.ts';
import { networkOf } from './address.ts';
import { FixedWindows } from './fixed-windows.ts';

type PolicyName =
  | 'principal'
  | 'address'
  | 'log-in-address'
  | 'log-in-pair'
  | 'log-in-email'
  | 'log-in-device'
  | 'sign-up-address'
  | 'password'
  | 'preview';
type KeyOf = (request: FastifyRequest) => string;

interface Meter {
  readonly quota: number;
  readonly keyOf: KeyOf;
  readonly windows: FixedWindows;
  /** As RateLimit-Policy names it. */
  readonly policy: string;
}

/** Where a request leaves its caller under one policy. */
interface Standing {
  readonly policy: string;
  /** As RateLimit tells of it. */
  readonly left: string;
  readonly secondsToReset: number;
  readonly isExceeded: boolean;
}

declare module 'fastify' {
  interface FastifyRequest {
    /** Under what it was counted so far; null for nothing. */
    standings: Standing[] | null;
  }
}

/**
 * Counts requests in fixed windows: of each principal, of each address for who is nobody yet, and log-ins more strictly. Counts are this
 * instance's own, and of the keys seen last: with n instances behind a balancer up to n quotas may be used.
 * The fields are those of draft-ietf-httpapi-ratelimit-headers-11.
 */
@Injectable()
export class RateLimits {
  private readonly meters: ReadonlyMap<PolicyName, Meter>;

  constructor(
    @Inject(RateLimitsConfig.KEY) config: Config['rateLimits'],
    private readonly callers: Authentication,
  ) {
    const byUser: KeyOf = (request) => this.callers.recognise(request).userId;
    const byNetwork: KeyOf = (request) => networkOf(request.ip);
    const byEmail: KeyOf = (request) => this.emailOf(request);
    const policies: [name: PolicyName, quota: number, keyOf: KeyOf][] = [
      ['principal', config.perPrincipal, byUser],
      ['address', config.perAddress, byNetwork],
      ['log-in-address', config.logInsPerAddress, byNetwork],
      ['preview', config.previewsPerPrincipal, byUser],
      ['log-in-pair', config.logInsPerPair, (request) => `${this.emailOf(request)} ${networkOf(request.ip)}`],
      ['log-in-email', config.logInsPerEmail, byEmail],
      ['log-in-device', config.logInsPerPair, byEmail],
      ['sign-up-address', config.signUpsPerAddress, byNetwork],
      ['password', config.passwordsPerUser, byUser],
    ];
    this.meters = new Map(
      policies.map(([name, quota, keyOf]): [PolicyName, Meter] => {
        const windows = new FixedWindows(config.windowSeconds * 1000, config.mostKeys);
        return [name, { quota, keyOf, windows, policy: `"${name}";q=${quota};w=${config.windowSeconds}` }];
      }),
    );
  }

  /** Counts every request but probes before its body is read, and tells in every answer how much is left. */
  watch(fastify: FastifyInstance): void {
    fastify.decorateRequest('standings', null);
    fastify.addHook('onRequest', (request: FastifyRequest, _, done) => {
      this.count(request, this.callers.isKnown(request) ? 'principal' : 'address');
      done();
    });
    fastify.addHook('onSend', (request, reply, _, done) => {
      tell(reply, request.standings ?? []);
      done();
    });
  }

  /** Throws quota-exceeded when this request is one too many. */
  count(request: FastifyRequest, policy: PolicyName): void {
    const { isExceeded, secondsToReset } = this.standingOf(request, policy);
    if (isExceeded) throw refusal(policy, secondsToReset);
  }

  /** Counts it as well, and says whether it is one too many. */
  isBeyond(request: FastifyRequest, policy: PolicyName): boolean {
    return this.standingOf(request, policy).isExceeded;
  }

  /** By what a log-in with an e-mail address is counted: the address itself is not kept. What is none is refused later, and counts as one. */
  emailOf({ body }: FastifyRequest): string {
    const { email } = (body ?? {}) as { email?: unknown };
    const text = typeof email === 'string' ? (canonicalEmail(email) ?? '') : '';
    return createHash('sha256').update(text).digest('base64url');
  }

  private standingOf(request: FastifyRequest, name: PolicyName): Standing {
    const meter = this.meters.get(name);
    if (meter === undefined) throw new MisuseError(`There is no policy ${name}.`);
    const { quota, keyOf, windows, policy } = meter;
    const { count, msToEnd } = windows.count(keyOf(request));
    const secondsToReset = Math.ceil(msToEnd / 1000);
    const left = `"${name}";r=${Math.max(0, quota - count)};t=${secondsToReset}`;
    const standing = { policy, left, secondsToReset, isExceeded: count > quota };
    (request.standings ??= []).push(standing);
    return standing;
  }
}

function tell(reply: FastifyReply, standings: readonly Standing[]): void {
  if (standings.length === 0) return;
  void reply.header('ratelimit-policy', standings.map(({ policy }) => policy).join(', '));
  void reply.header('ratelimit', standings.map(({ left }) => left).join(', '));
}

function refusal(policy: PolicyName, seconds: number): ProblemError {
  const headers = { 'retry-after': String(seconds) };
  const members = { 'violated-policies': [policy] };
  return httpProblems.quotaExceeded('Too many requests within the window.', { headers, members });
}
