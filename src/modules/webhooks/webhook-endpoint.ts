import { type ExpectedVersion, isExpected } from '../../http/conditional/if-match.ts';
import { generalProblems } from '../../kernel/general.problems.ts';
import { webhookProblems } from './webhooks.problems.ts';

export const mostEndpoints = 10;

/** Throws version-mismatch where somebody else has edited the endpoint since it was read. */
export function refuseVersion({ version }: { readonly version: number }, expected: ExpectedVersion): void {
  if (isExpected(expected, version)) return;
  throw generalProblems.versionMismatch(`The webhook endpoint is at version ${version} by now.`, { version });
}

/** Throws too-many-webhook-endpoints. */
export function refuseOneMore(count: number): void {
  if (count >= mostEndpoints) throw webhookProblems.tooManyEndpoints();
}

interface Endpoint {
  readonly types: readonly string[];
}

/** As it crosses the wire: no types are all of them. */
export const showEndpoint = <E extends Endpoint>(endpoint: E) => ({
  ...endpoint,
  types: endpoint.types.length === 0 ? null : [...endpoint.types],
});
