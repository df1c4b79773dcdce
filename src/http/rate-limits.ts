import { createHash } from 'node:crypto';
import rateLimit, { type FastifyRateLimitStoreCtor } from '@fastify/rate-limit';
import { Inject, Injectable } from '@nestjs/common';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { type Config, RateLimitsConfig } from '../config/config.ts';
import { canonicalEmail } from '../kernel/email.ts';
import { networkOf } from './address.ts';
import { Callers } from './callers.ts';
import { HttpProblem } from './problem.ts';
import { isProbe } from './probes.ts';
import { RateLimitStore } from './rate-limit-store.ts';

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
type KeyOf = (request: FastifyRequest) => Promise<string> | string;
type Meter = ReturnType<FastifyInstance['createRateLimit']>;

/** Where a request leaves its caller under one policy. */
interface Standing {
  readonly policy: PolicyName;
  readonly quota: number;
  readonly remaining: number;
  readonly secondsToReset: number;
  readonly isExceeded: boolean;
}

/**
 * Counts requests in fixed windows: of each principal, of each address for who is nobody yet, and log-ins more strictly. Counts are this
 * instance's own, and of the keys seen last: with n instances behind a balancer up to n quotas may be used.
 * The fields are those of draft-ietf-httpapi-ratelimit-headers-11.
 */
@Injectable()
export class RateLimits {
  private readonly meters = new Map<PolicyName, Meter>();
  private readonly standings = new WeakMap<FastifyRequest, Standing[]>();

  constructor(
    @Inject(RateLimitsConfig.KEY) private readonly config: Config['rateLimits'],
    private readonly callers: Callers,
  ) {}

  /** Counts every request but probes before its body is read, and tells in every answer how much is left. */
  async watch(fastify: FastifyInstance): Promise<void> {
    await fastify.register(rateLimit, { global: false, store: RateLimitStore as unknown as FastifyRateLimitStoreCtor });
    const { config } = this;
    // The library's own type has forgotten `cache`, the most keys of its LRU.
    const bounds = { timeWindow: config.windowSeconds * 1000, cache: config.mostKeys };
    const meter = (name: PolicyName, max: number, keyed: { keyGenerator?: KeyOf } = {}): void =>
      void this.meters.set(name, fastify.createRateLimit({ max, ...bounds, ...keyed }));
    const userOf = async (request: FastifyRequest) => (await this.callers.recognise(request)).userId;
    meter('principal', config.perPrincipal, { keyGenerator: userOf });
    // Without a key of ours it is the address, of which an IPv6 network of 64 bits counts as one.
    meter('address', config.perAddress);
    meter('log-in-address', config.logInsPerAddress);
    meter('preview', config.previewsPerPrincipal, { keyGenerator: userOf });
    meter('log-in-pair', config.logInsPerPair, {
      keyGenerator: (request) => `${this.emailOf(request)} ${networkOf(request.ip)}`,
    });
    meter('log-in-email', config.logInsPerEmail, { keyGenerator: (request) => this.emailOf(request) });
    meter('log-in-device', config.logInsPerPair, { keyGenerator: (request) => this.emailOf(request) });
    meter('sign-up-address', config.signUpsPerAddress);
    meter('password', config.passwordsPerUser, { keyGenerator: userOf });
    fastify.addHook('onRequest', async (request: FastifyRequest) => {
      if (isProbe(request.url)) return;
      const isKnown = await this.callers.recognise(request).then(
        () => true,
        () => false,
      );
      await this.count(request, isKnown ? 'principal' : 'address');
    });
    fastify.addHook('onSend', async (request, reply) => {
      this.tell(reply, this.standings.get(request) ?? []);
    });
  }

  /** Throws quota-exceeded when this request is one too many. */
  async count(request: FastifyRequest, policy: PolicyName): Promise<void> {
    const standing = await this.standingOf(request, policy);
    if (standing?.isExceeded === true) throw refusal(policy, standing.secondsToReset);
  }

  /** Counts it as well, and says whether it is one too many. */
  async isBeyond(request: FastifyRequest, policy: PolicyName): Promise<boolean> {
    return (await this.standingOf(request, policy))?.isExceeded === true;
  }

  /** By what a log-in with an e-mail address is counted: the address itself is not kept. What is none is refused later, and counts as one. */
  emailOf({ body }: FastifyRequest): string {
    const { email } = (body ?? {}) as { email?: unknown };
    const text = typeof email === 'string' ? (canonicalEmail(email) ?? '') : '';
    return createHash('sha256').update(text).digest('base64url');
  }

  private async standingOf(request: FastifyRequest, policy: PolicyName): Promise<Standing | null> {
    const counted = await this.meters.get(policy)?.(request);
    if (counted === undefined || counted.isAllowed) return null;
    const { max: quota, remaining, ttlInSeconds: secondsToReset, isExceeded } = counted;
    const standing = { policy, quota, remaining, secondsToReset, isExceeded };
    this.standings.set(request, [...(this.standings.get(request) ?? []), standing]);
    return standing;
  }

  private tell(reply: FastifyReply, standings: readonly Standing[]): void {
    if (standings.length === 0) return;
    const { windowSeconds } = this.config;
    const policies = standings.map(({ policy, quota }) => `"${policy}";q=${quota};w=${windowSeconds}`);
    const left = standings.map(
      ({ policy, remaining, secondsToReset }) => `"${policy}";r=${remaining};t=${secondsToReset}`,
    );
    void reply.header('ratelimit-policy', policies.join(', ')).header('ratelimit', left.join(', '));
  }
}

function refusal(policy: PolicyName, seconds: number): HttpProblem {
  const headers = { 'retry-after': String(seconds) };
  const members = { 'violated-policies': [policy] };
  return new HttpProblem(429, 'quota-exceeded', 'Too many requests within the window.', headers, members);
}
