import { Injectable } from '@nestjs/common';
import { z } from 'zod';
import type { ExpectedVersion } from '../../http/conditional/if-match.ts';
import { page } from '../../http/pages/page.ts';
import { newId } from '../../kernel/ids.ts';
import { type Principal, scopeOf } from '../../kernel/principal.ts';
import { found } from '../../kernel/problem.ts';
import { Transactional } from '../../transactions/transactional.ts';
import { CredentialsService } from '../users/credentials.service.ts';
import { WebhookAddresses } from './webhook-addresses.ts';
import { refuseOneMore, refuseVersion, showEndpoint } from './webhook-endpoint.ts';
import { WebhookEndpointsRepository } from './webhook-endpoints.repository.ts';
import { WebhookSecrets } from './webhook-secrets.ts';
import { webhookProblems } from './webhooks.problems.ts';
import type { NewWebhookEndpoint, WebhookEndpointPatch, WebhookEndpointQuery } from './webhooks.schema.ts';

/** How long a secret signs beside the one that has replaced it. */
const overlapSeconds = 86_400;

@Injectable()
export class WebhookEndpointsService {
  constructor(
    private readonly endpoints: WebhookEndpointsRepository,
    private readonly credentials: CredentialsService,
    private readonly secrets: WebhookSecrets,
    private readonly addresses: WebhookAddresses,
  ) {}

  /** With its secret, which is shown this once. Throws webhook-url-refused, too-many-webhook-endpoints. */
  @Transactional()
  async create({ userId, role }: Principal, { url, description, types }: NewWebhookEndpoint) {
    this.refuseUrl(url);
    // Two requests of one person at a time would both find room.
    await this.credentials.lock([userId]);
    refuseOneMore(await this.endpoints.count(userId));
    const id = newId();
    const secret = this.secrets.make(id);
    const endpoint = await this.endpoints.create({
      id,
      userId,
      url,
      description: description ?? null,
      types: types ?? [],
      isOfOperator: role === 'operator',
      secret: secret.stored,
    });
    return { ...showEndpoint(endpoint), secret: secret.shown };
  }

  /** Throws webhook-endpoint-not-found. */
  async get(principal: Principal, id: string) {
    return showEndpoint(found(await this.endpoints.find(scopeOf(principal), id), webhookProblems.endpointNotFound));
  }

  /** One's own endpoints, or everybody's for an operator, newest first. */
  async list(principal: Principal, query: WebhookEndpointQuery) {
    const scope = scopeOf(principal);
    const endpoints = await page(
      'webhook-endpoints',
      { ...query, ...scope, reader: principal.userId },
      z.uuid(),
      (slice) => this.endpoints.list(scope, slice),
      ({ id }) => id,
    );
    return { ...endpoints, data: endpoints.data.map(showEndpoint) };
  }

  /** Changes the version that was seen; enabled again, it goes on with what waits. Throws webhook-endpoint-not-found, version-mismatch, webhook-url-refused. */
  @Transactional()
  async edit(principal: Principal, id: string, version: ExpectedVersion, { types, ...patch }: WebhookEndpointPatch) {
    if (patch.url !== undefined) this.refuseUrl(patch.url);
    const before = await this.lock(principal, id, version);
    const change = { enabled: before.enabled, ...patch, ...(types !== undefined && { types: types ?? [] }) };
    const after = await this.endpoints.update(id, change);
    if (after.enabled && !before.enabled) await this.endpoints.resume(id);
    return showEndpoint(after);
  }

  /** With all that waits for it. Throws webhook-endpoint-not-found, version-mismatch. */
  @Transactional()
  async remove(principal: Principal, id: string, version: ExpectedVersion): Promise<void> {
    await this.lock(principal, id, version);
    await this.endpoints.remove(id);
  }

  /** A new secret; the old one signs beside it for a day, one before that no more. Throws webhook-endpoint-not-found. */
  @Transactional()
  async rotateSecret(principal: Principal, id: string) {
    await this.lock(principal, id, 'any');
    const secret = this.secrets.make(id);
    await this.endpoints.rotate(id, secret.stored, overlapSeconds);
    return { ...(await this.get(principal, id)), secret: secret.shown };
  }

  private async lock(principal: Principal, id: string, version: ExpectedVersion) {
    const endpoint = found(await this.endpoints.lock(scopeOf(principal), id), webhookProblems.endpointNotFound);
    refuseVersion(endpoint, version);
    return endpoint;
  }

  private refuseUrl(url: string): void {
    if (!this.addresses.accepts(new URL(url))) throw webhookProblems.urlRefused(undefined, { pointer: '/url' });
  }
}
