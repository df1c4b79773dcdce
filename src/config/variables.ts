import { z } from 'zod';
import { currenciesIn } from '../kernel/currencies.ts';
import { postgresUrl, replicaUrls } from './database-variables.ts';
import { httpVariables } from './http-variables.ts';
import { mailVariables } from './mail-variables.ts';
import { weaknessOf } from './secret.ts';
import { whole } from './whole.ts';

/** Every variable the service reads: name, rule, default and meaning. `npm run config` prints this table. */
export const variables = {
  NODE_ENV: z
    .enum(['development', 'test', 'production'])
    .default('development')
    .describe(
      'With `production`: EXTERNAL_WORK and SEPARATE_WRITES default to `log`, the log omits messages of PostgreSQL, Prisma and Node, responses are cut to their schemas but not validated, and the embedded database is used only if EMBEDDED_DATABASE says so',
    ),
  HOST: z
    .string()
    .min(1)
    .default('127.0.0.1')
    .describe('Address to listen on; 0.0.0.0 in a container. Demo people exist only if it is a loopback address'),
  PORT: whole(0, 65_535).default(3000).describe('Port to listen on; 0 picks a free port'),
  LOG_LEVEL: z
    .enum(['fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent'])
    .default('info')
    .describe('Least severe level that is logged'),
  ...httpVariables,
  RATE_LIMIT_WINDOW_SECONDS: whole(1, 86_400)
    .default(60)
    .describe('Length of the window in which each instance counts requests'),
  RATE_LIMIT_PER_PRINCIPAL: whole(1, 1_000_000_000).default(12_000).describe('Requests per user and window'),
  RATE_LIMIT_PER_ADDRESS: whole(1, 1_000_000_000)
    .default(12_000)
    .describe('Requests per address and window, of callers who are not signed in'),
  RATE_LIMIT_LOG_INS_PER_ADDRESS: whole(1, 1_000_000_000)
    .default(120)
    .describe('Log-in attempts per address and window'),
  RATE_LIMIT_LOG_INS_PER_PAIR: whole(1, 1_000_000_000)
    .default(20)
    .describe('Log-in attempts per window with one e-mail address from one address, or from one known device'),
  RATE_LIMIT_LOG_INS_PER_EMAIL: whole(1, 1_000_000_000)
    .default(60)
    .describe('Log-in attempts per e-mail address and window, from all addresses; further ones are slowed down'),
  RATE_LIMIT_SIGN_UPS_PER_ADDRESS: whole(1, 1_000_000_000)
    .default(60)
    .describe('Sign-up attempts per address and window'),
  RATE_LIMIT_PASSWORDS_PER_USER: whole(1, 1_000_000_000)
    .default(20)
    .describe('Attempts per user and window to confirm the current password'),
  RATE_LIMIT_PREVIEWS_PER_PRINCIPAL: whole(1, 1_000_000_000)
    .default(120)
    .describe('Transfer previews per user and window'),
  RATE_LIMIT_MAX_KEYS: whole(1, 10_000_000)
    .default(20_000)
    .describe('Users or addresses that are counted at a time; the least recently seen one is dropped first'),
  HOLDFAST_HOME: z
    .string()
    .min(1)
    .default('.holdfast')
    .describe('Directory of the embedded database and its generated secrets'),
  EMBEDDED_DATABASE: z
    .enum(['true', 'false'])
    .optional()
    .describe(
      'With `true`, the embedded database and its generated secret may be used in production and where others reach HOST; with `false` they never are',
    ),
  EMBEDDED_WAL_ARCHIVE: z
    .string()
    .min(1)
    .optional()
    .describe(
      'Directory, best on another disk, in which the embedded database archives its write-ahead log for a restore to a point in time; if empty, the one of the last start; `off` ends it',
    ),
  DATABASE_WRITE_URL: postgresUrl
    .optional()
    .describe('URL of the primary, with the role holdfast_app; if empty, the embedded PostgreSQL is started'),
  DATABASE_READ_URL: replicaUrls
    .optional()
    .describe(
      'URL of the replica, with the role holdfast_reader; several are separated by spaces, each as URL or name=URL; if empty, reads go to the primary',
    ),
  DATABASE_OWNER_URL: postgresUrl
    .optional()
    .describe('URL of the primary, with the role holdfast_owner; only migrations use it'),
  DATABASE_MIGRATION_WAIT_MS: whole(0, 3_600_000)
    .default(60_000)
    .describe(
      'How long `npm run db:migrate` runs a migration again that did not get a lock within 2 s; only migrations use it',
    ),
  DATABASE_POOL_SIZE: whole(1, 500)
    .default(10)
    .describe('Largest number of connections of one instance to the primary, and to each replica'),
  DATABASE_STATEMENT_NAMES: z
    .enum(['on', 'off'])
    .default('on')
    .describe(
      'With `off`, statements are not prepared by name; for a pooler that does not keep prepared statements across sessions',
    ),
  DATABASE_POOL_WAIT_MS: whole(10, 60_000)
    .default(2000)
    .describe('How long a request waits for a connection; then the response is 503'),
  DATABASE_START_WAIT_MS: whole(0, 3_600_000)
    .default(60_000)
    .describe('How long the start waits for a database that does not answer yet; /startupz is 503 meanwhile'),
  DATABASE_STATEMENT_TIMEOUT_MS: whole(10, 600_000).default(10_000).describe('How long one statement may run'),
  DATABASE_LOCK_TIMEOUT_MS: whole(10, 600_000).default(5000).describe('How long one statement may wait for a lock'),
  DATABASE_IDLE_IN_TRANSACTION_TIMEOUT_MS: whole(10, 600_000)
    .default(5000)
    .describe('How long a transaction may stay idle between two statements'),
  DATABASE_TRANSACTION_TIMEOUT_MS: whole(10, 600_000)
    .default(10_000)
    .describe('How long a boundary may last if it sets no `timeout`'),
  DATABASE_LANES: z
    .enum(['on', 'off'])
    .default('on')
    .describe(
      'Commands of many callers that write the same tables share a boundary, each with its own answer; with `off`, each has its own boundary',
    ),
  DATABASE_REPLICA_WAIT_MS: whole(0, 10_000)
    .default(50)
    .describe('How long a read waits for a replica to catch up before it goes to the primary'),
  DATABASE_READ_CONSISTENCY: z
    .enum(['caller', 'instance', 'primary'])
    .default('caller')
    .describe(
      'What a read sees at least: `caller`, the writes of its caller; `instance`, all writes of this instance; `primary`, all writes, as reads go to the primary',
    ),
  EXTERNAL_WORK: z
    .enum(['raise', 'log', 'off'])
    .optional()
    .describe(
      'What happens when a boundary does external work, such as an HTTP request: `raise` fails the boundary, `log` warns, `off` allows it; if empty, `raise`, in production `log`',
    ),
  SEPARATE_WRITES: z
    .enum(['raise', 'log', 'off'])
    .optional()
    .describe(
      'What happens when a request, hook, job or command would commit a second write separately: `raise` refuses it, `log` warns, `off` allows it; if empty, `raise`, in production `log`',
    ),
  AUTH_SECRET: z
    .string()
    .superRefine((secret, context) => {
      const weakness = weaknessOf(secret);
      if (weakness !== null) context.addIssue({ code: 'custom', message: weakness });
    })
    .optional()
    .describe(
      'Key that signs access tokens, at least 32 random bytes in base64; generated for the embedded database, otherwise required',
    ),
  AUTH_ACCESS_TOKEN_SECONDS: whole(1, 86_400).default(900).describe('Lifetime of an access token'),
  AUTH_RECHECK_SECONDS: whole(0, 60)
    .default(5)
    .describe(
      'How old the last check of a session may be for a read of one’s own data; every other request checks the session each time',
    ),
  AUTH_REFRESH_TOKEN_SECONDS: whole(60, 31_536_000)
    .default(2_592_000)
    .describe('Lifetime of a session that is not refreshed'),
  AUTH_SESSION_SECONDS: whole(60, 315_360_000)
    .default(7_776_000)
    .describe('Lifetime of a session, however often it is refreshed'),
  LEDGER_SEAL_INTERVAL_MS: whole(0, 3_600_000)
    .default(1000)
    .describe('Pause between two runs that seal new transfers into the hash chain; 0 turns them off on this instance'),
  RETENTION_SWEEP_INTERVAL_MS: whole(0, 3_600_000)
    .default(5000)
    .describe(
      'Pause between two runs that remove expired rows (keys, sessions, reservations); 0 turns them off on this instance',
    ),
  CURRENCIES: z
    .string()
    .refine(
      (text) => currenciesIn(text) !== null,
      'must be codes of ISO 4217 that have a minor unit, with commas between',
    )
    .optional()
    .describe(
      'Currencies of new accounts and prices, as ISO 4217 codes separated by commas; if empty, all of ISO 4217. The first one, or EUR, is used for a sign-up that names none',
    ),
  LEDGER_PENDING_SECONDS: whole(1, 2_592_000)
    .default(604_800)
    .describe('Lifetime of a pending transfer that does not set one'),
  LEDGER_PENDING_PER_SENDER: whole(1, 100_000)
    .default(2000)
    .describe('Pending transfers that one user may have at a time, from all accounts of the user'),
  LEDGER_PENDING_PER_PAIR: whole(1, 100_000)
    .default(500)
    .describe('Pending transfers that one user may have at a time to one account'),
  LEDGER_PENDING_PER_ACCOUNT: whole(1, 1_000_000)
    .default(20_000)
    .describe('Pending transfers to one account at a time, from all senders'),
  EVENT_POLL_INTERVAL_MS: whole(0, 3_600_000)
    .default(1000)
    .describe(
      'Pause between two searches for events of other instances and for deliveries that are due; 0 relays no events and runs no consumers on this instance',
    ),
  EVENT_KEEP_SECONDS: whole(60, 315_360_000)
    .default(2_592_000)
    .describe('How long an event can be read; one that a consumer has not done is kept longer'),
  EVENT_LEASE_MS: whole(1000, 3_600_000)
    .default(60_000)
    .describe(
      'How long a delivery is reserved for the instance that has taken it on; then another one may take it over',
    ),
  EVENT_ATTEMPTS: whole(1, 1000)
    .default(15)
    .describe('Attempts after which a consumer gives an event up; the pauses between them double up to an hour'),
  WEBHOOK_PRIVATE_ADDRESSES: z
    .enum(['allow', 'refuse'])
    .optional()
    .describe(
      'With `allow`, webhooks may go to private addresses and by http; if empty, `allow` only if HOST is a loopback address, and in production `refuse`',
    ),
  WEBHOOK_POLL_INTERVAL_MS: whole(0, 3_600_000)
    .default(1000)
    .describe('Pause between two searches for webhooks that are due; 0 sends none from this instance'),
  WEBHOOK_TIMEOUT_MS: whole(100, 60_000)
    .default(10_000)
    .describe('How long one request to an endpoint of webhooks may take in all'),
  WEBHOOK_REQUESTS_AT_ONCE: whole(1, 1000)
    .default(32)
    .describe('Requests to endpoints of webhooks at a time on each instance; at most 4 of one owner'),
  ...mailVariables,
  PHASED_WORKER_INTERVAL_MS: whole(0, 3_600_000)
    .default(5000)
    .describe('Pause between two searches for phased runs whose caller is gone; 0 turns them off on this instance'),
  PHASED_LEASE_MS: whole(100, 3_600_000)
    .default(30_000)
    .describe(
      'How long a phased run is reserved for its worker without a sign of life; then another one may take it over',
    ),
  SHUTDOWN_DRAIN_MS: whole(0, 120_000)
    .default(5000)
    .describe('How long the service still serves requests after SIGTERM, while /readyz is 503'),
  SHUTDOWN_DEADLINE_MS: whole(100, 600_000)
    .default(20_000)
    .describe('How long requests in flight may take to finish after the drain'),
} as const;
