import { request as requestByHttp } from 'node:http';
import { type RequestOptions, request as requestByHttps } from 'node:https';
import type { LookupAddress } from 'node:dns';
import type { IncomingMessage } from 'node:http';
import { isIP, type LookupFunction } from 'node:net';
import { Inject, Injectable } from '@nestjs/common';
import type { Config } from '../../config/config.ts';
import { WebhooksConfig } from '../../config/slices.ts';
import { failureName } from '../../kernel/failure-name.ts';
import { showId } from '../../kernel/ids.ts';
import { LoggableError } from '../../kernel/loggable-error.ts';
import { WebhookAddresses } from './webhook-addresses.ts';
import { isTaken, type LeasedWebhook, type SendOutcome } from './webhook-delivery.ts';
import { signatureOf, WebhookSecrets } from './webhook-secrets.ts';

/** Of a response so much is read; it is not kept. */
const mostResponseBytes = 65_536;

/** The connection has ended without a response. */
class NoResponseError extends LoggableError {
  override readonly name = 'NoResponseError';
}

/** Sends a webhook: one request, to a checked address, within a bounded time. */
@Injectable()
export class WebhookSender {
  constructor(
    private readonly addresses: WebhookAddresses,
    private readonly secrets: WebhookSecrets,
    @Inject(WebhooksConfig.KEY) private readonly config: Config['webhooks'],
  ) {}

  /** Never rejects. Outside any boundary. */
  async send(webhook: LeasedWebhook): Promise<SendOutcome> {
    const begun = performance.now();
    const settle = (status: number | null, error: string | null): SendOutcome => ({
      status,
      durationMs: Math.round(performance.now() - begun),
      error,
    });
    try {
      const status = await this.request(webhook);
      return settle(status, isTaken(status) ? null : status >= 300 && status < 400 ? 'redirect' : 'status');
    } catch (error) {
      return settle(null, failureName(error));
    }
  }

  private async request(webhook: LeasedWebhook): Promise<number> {
    const url = new URL(webhook.url);
    // Over all of it: the look-up, the connection, the response to its end.
    const signal = AbortSignal.timeout(this.config.timeoutMs);
    const addresses = await within(signal, this.addresses.find(url));
    const response = await this.post(url, webhook, { signal, lookup: pinned(addresses) });
    await drain(response);
    return response.statusCode ?? 0;
  }

  private post(
    url: URL,
    webhook: LeasedWebhook,
    options: Pick<RequestOptions, 'signal' | 'lookup'>,
  ): Promise<IncomingMessage> {
    const send = url.protocol === 'http:' ? requestByHttp : requestByHttps;
    return new Promise((resolve, reject) => {
      // A connection of its own: what one endpoint does to it concerns no other.
      const request = send(url, { ...options, method: 'POST', agent: false, headers: this.headersOf(webhook) });
      request.on('response', resolve).on('error', reject);
      // Without a response and without an error: 101 switches to what we do not speak.
      request.on('close', () => reject(new NoResponseError('A webhook was not answered.')));
      request.end(webhook.body);
    });
  }

  private headersOf({ endpointId, deliveryId, body, secret, previousSecret, takenAt }: LeasedWebhook) {
    const id = showId('whd', deliveryId);
    const seconds = Math.floor(takenAt.getTime() / 1000);
    const signatures = [secret, ...(previousSecret === null ? [] : [previousSecret])].map((stored) =>
      signatureOf(this.secrets.open(endpointId, stored), id, seconds, body),
    );
    return {
      'content-type': 'application/cloudevents+json',
      'content-length': Buffer.byteLength(body),
      'user-agent': 'Holdfast-Webhooks/1',
      'webhook-id': id,
      'webhook-timestamp': String(seconds),
      'webhook-signature': signatures.join(' '),
    };
  }
}

/** A look-up that knows the answer: who connects does not ask a second time, when it might be another one. */
function pinned(addresses: readonly LookupAddress[]): LookupFunction {
  return (_, { all }, done) => {
    const [first] = addresses;
    if (all === true) done(null, [...addresses]);
    else done(null, first?.address ?? '', first?.family ?? isIP(first?.address ?? ''));
  };
}

/** What the work gives, unless the signal comes first. */
function within<T>(signal: AbortSignal, work: Promise<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    signal.addEventListener('abort', () => reject(signal.reason as Error), { once: true });
    work.then(resolve, reject);
  });
}

/** Reads the response to its end, or as far as it may. The status is known: one that breaks off, or lasts too long, takes nothing back. */
function drain(response: IncomingMessage): Promise<void> {
  return new Promise((resolve) => {
    let read = 0;
    response.on('data', (chunk: Buffer) => {
      read += chunk.length;
      if (read > mostResponseBytes) response.destroy();
    });
    response.on('error', () => response.destroy()).on('close', resolve);
  });
}
