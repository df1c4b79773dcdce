// What a controller imports: the parameters, access, answers and promises of a route.
export { Caller, Leaver, Leaving, OperatorsOnly, Public, SignedIn } from './access/principal.ts';
export { type ExpectedVersion, IfMatch, NeedsIfMatch } from './conditional/if-match.ts';
export { Idempotent } from './idempotency/idempotent.ts';
export { Body, Param, Query } from './input/input.ts';
export { Prepared, Prepares } from './input/preparation.ts';
export { PreviewQuotaGuard } from './limits/preview-quota.guard.ts';
export { AddressQuota, LogInQuotaGuard, PasswordQuota, SignUpQuotaGuard } from './limits/quotas.guard.ts';
export { Refuses } from './problems/refuses.ts';
export { MayWait, type Patience, Waiting } from './responses/waiting.ts';
export { AlsoReturns, Returns, ReturnsCreated, ReturnsNothing } from './responses/returns.ts';
export { TakesLongBody } from './route-facts.ts';
