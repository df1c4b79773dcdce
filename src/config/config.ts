import { isIP } from 'node:net';
import { currenciesIn } from '../kernel/currencies.ts';
import { isLoopbackAddress } from './address.ts';
import type { Environment } from './environment.ts';
import { readMailSender, readMailUrl } from './mail-url.ts';
import { originsIn } from './origins.ts';

/** The environment with the database and the secret settled, in the slices that the rooms ask for. Frozen. */
export type Config = ReturnType<typeof makeConfig>;

type Settled = Environment & { readonly DATABASE_WRITE_URL: string; readonly AUTH_SECRET: string };

/** Cuts the environment into slices. What the embedded database supplies (URLs, secret) must be in it by now. */
export function makeConfig(e: Settled) {
  return deepFreeze({
    http: httpSlice(e),
    rateLimits: rateLimitsSlice(e),
    log: { level: e.LOG_LEVEL, messages: messagesIn(e.NODE_ENV) },
    database: databaseSlice(e),
    transactions: transactionsSlice(e),
    auth: {
      secret: e.AUTH_SECRET,
      accessTokenSeconds: e.AUTH_ACCESS_TOKEN_SECONDS,
      refreshTokenSeconds: e.AUTH_REFRESH_TOKEN_SECONDS,
      sessionSeconds: e.AUTH_SESSION_SECONDS,
      recheckSeconds: e.AUTH_RECHECK_SECONDS,
    },
    shop: { currencies: e.CURRENCIES === undefined ? null : currenciesIn(e.CURRENCIES) },
    ledger: ledgerSlice(e),
    phased: { workerIntervalMs: e.PHASED_WORKER_INTERVAL_MS, leaseMs: e.PHASED_LEASE_MS },
    events: eventsSlice(e),
    webhooks: webhooksSlice(e),
    mail: mailSlice(e),
    retention: { sweepIntervalMs: e.RETENTION_SWEEP_INTERVAL_MS },
    shutdown: { drainMs: e.SHUTDOWN_DRAIN_MS, deadlineMs: e.SHUTDOWN_DEADLINE_MS },
  });
}

const messagesIn = (mode: Settled['NODE_ENV']): 'own' | 'all' => (mode === 'production' ? 'own' : 'all');

const transactionsSlice = (e: Settled) => {
  const unset = e.NODE_ENV === 'production' ? 'log' : 'raise';
  return { externalWork: e.EXTERNAL_WORK ?? unset, separateWrites: e.SEPARATE_WRITES ?? unset };
};
const httpSlice = (e: Settled) => ({
  host: e.HOST,
  port: e.PORT,
  bodyLimitBytes: e.HTTP_BODY_LIMIT_BYTES,
  requestTimeoutMs: e.HTTP_REQUEST_TIMEOUT_MS,
  idempotencyKeepSeconds: e.IDEMPOTENCY_KEEP_SECONDS,
  /** Whether each answer is held to all that its view says, and not only cut to it. */
  checksAnswers: e.NODE_ENV !== 'production',
  responseTimeoutMs: e.HTTP_RESPONSE_TIMEOUT_MS,
  keepAliveMs: e.HTTP_KEEP_ALIVE_MS,
  mostConnections: e.HTTP_MAX_CONNECTIONS,
  mostArriving: e.HTTP_MAX_ARRIVING,
  mostBufferedBytes: e.HTTP_MAX_BUFFERED_BYTES,
  corsOrigins: originsIn(e.HTTP_CORS_ORIGINS ?? ''),
  mostInFlight: e.HTTP_MAX_IN_FLIGHT,
  trustedProxies: e.HTTP_TRUSTED_PROXIES ?? null,
});

const rateLimitsSlice = (e: Settled) => ({
  windowSeconds: e.RATE_LIMIT_WINDOW_SECONDS,
  mostKeys: e.RATE_LIMIT_MAX_KEYS,
  perPrincipal: e.RATE_LIMIT_PER_PRINCIPAL,
  perAddress: e.RATE_LIMIT_PER_ADDRESS,
  logInsPerAddress: e.RATE_LIMIT_LOG_INS_PER_ADDRESS,
  logInsPerPair: e.RATE_LIMIT_LOG_INS_PER_PAIR,
  logInsPerEmail: e.RATE_LIMIT_LOG_INS_PER_EMAIL,
  signUpsPerAddress: e.RATE_LIMIT_SIGN_UPS_PER_ADDRESS,
  passwordsPerUser: e.RATE_LIMIT_PASSWORDS_PER_USER,
  previewsPerPrincipal: e.RATE_LIMIT_PREVIEWS_PER_PRINCIPAL,
});

const ledgerSlice = (e: Settled) => ({
  sealIntervalMs: e.LEDGER_SEAL_INTERVAL_MS,
  pendingSeconds: e.LEDGER_PENDING_SECONDS,
  pending: {
    perSender: e.LEDGER_PENDING_PER_SENDER,
    perPair: e.LEDGER_PENDING_PER_PAIR,
    perReceiver: e.LEDGER_PENDING_PER_ACCOUNT,
  },
});

const eventsSlice = (e: Settled) => ({
  pollIntervalMs: e.EVENT_POLL_INTERVAL_MS,
  keepSeconds: e.EVENT_KEEP_SECONDS,
  leaseMs: e.EVENT_LEASE_MS,
  mostAttempts: e.EVENT_ATTEMPTS,
});

/** As for demo people: nobody else reaches the service, so nobody else names an address, or reads what is shown to everybody. */
const isOurs = (e: Settled): boolean =>
  e.NODE_ENV !== 'production' && (e.HOST === 'localhost' || (isIP(e.HOST) > 0 && isLoopbackAddress(e.HOST)));

const webhooksSlice = (e: Settled) => ({
  privateAddresses: e.WEBHOOK_PRIVATE_ADDRESSES ?? (isOurs(e) ? ('allow' as const) : ('refuse' as const)),
  pollIntervalMs: e.WEBHOOK_POLL_INTERVAL_MS,
  timeoutMs: e.WEBHOOK_TIMEOUT_MS,
  requestsAtOnce: e.WEBHOOK_REQUESTS_AT_ONCE,
});

const weekSeconds = 604_800;

const mailSlice = (e: Settled) => {
  const server = e.MAIL_URL === undefined ? null : readMailUrl(e.MAIL_URL);
  return {
    // What is wrong with it was told before.
    server: typeof server === 'string' ? null : server,
    /** Where it goes to: the server, a list that is shown to people, or nowhere. */
    goes: server !== null ? ('out' as const) : isOurs(e) ? ('into a list' as const) : ('nowhere' as const),
    from: readMailSender(e.MAIL_FROM ?? '') ?? { name: 'Holdfast', address: 'holdfast@shop.example' },
    pollIntervalMs: e.MAIL_POLL_INTERVAL_MS,
    timeoutMs: e.MAIL_TIMEOUT_MS,
    atOnce: e.MAIL_AT_ONCE,
    /** As long as its event can be delivered again, and longer than it is tried. */
    keepSeconds: Math.max(e.EVENT_KEEP_SECONDS, weekSeconds),
  };
};

const databaseSlice = (e: Settled) => ({
  writeUrl: e.DATABASE_WRITE_URL,
  readUrl: e.DATABASE_READ_URL ?? null,
  statementNames: e.DATABASE_STATEMENT_NAMES,
  poolSize: e.DATABASE_POOL_SIZE,
  poolWaitMs: e.DATABASE_POOL_WAIT_MS,
  startWaitMs: e.DATABASE_START_WAIT_MS,
  statementTimeoutMs: e.DATABASE_STATEMENT_TIMEOUT_MS,
  lockTimeoutMs: e.DATABASE_LOCK_TIMEOUT_MS,
  idleInTransactionTimeoutMs: e.DATABASE_IDLE_IN_TRANSACTION_TIMEOUT_MS,
  transactionTimeoutMs: e.DATABASE_TRANSACTION_TIMEOUT_MS,
  lanes: e.DATABASE_LANES,
  replicaWaitMs: e.DATABASE_REPLICA_WAIT_MS,
  readConsistency: e.DATABASE_READ_CONSISTENCY,
});

function deepFreeze<T extends object>(value: T): Readonly<T> {
  for (const member of Object.values(value))
    if (typeof member === 'object' && member !== null) deepFreeze(member as object);
  return Object.freeze(value);
}
