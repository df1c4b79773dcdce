import { isIP } from 'node:net';
import { z } from 'zod';
import { currenciesIn } from '../kernel/currencies.ts';
import { replicasIn } from './replicas.ts';
import { weaknessOf } from './secret.ts';

const whole = (least: number, most: number) => z.coerce.number().int().min(least).max(most);
const postgresUrl = z.url({
  protocol: /^postgres(ql)?$/,
  error: 'must be a URL like postgresql://user:password@host:5432/database',
});

const isNetwork = (text: string): boolean => {
  const [address = '', bits, ...rest] = text.split('/');
  const version = isIP(address);
  const isLength = bits === undefined || (/^\d{1,3}$/.test(bits) && Number(bits) <= (version === 4 ? 32 : 128));
  return version !== 0 && isLength && rest.length === 0;
};

/** Every variable the service reads: name, rule, default and meaning. `npm run config` prints this table. */
export const variables = {
  NODE_ENV: z
    .enum(['development', 'test', 'production'])
    .default('development')
    .describe(
      'With `production`, EXTERNAL_WORK and SEPARATE_WRITES are `log` unless they are set, the log holds no message of PostgreSQL, and EMBEDDED_DATABASE must be set to be used',
    ),
  HOST: z
    .string()
    .min(1)
    .default('127.0.0.1')
    .describe('Address to listen on; 0.0.0.0 in a container. Demo people exist only where it is loopback'),
  PORT: whole(0, 65_535).default(3000).describe('Port to listen on; 0 takes a free one'),
  LOG_LEVEL: z
    .enum(['fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent'])
    .default('info')
    .describe('Least severe log line that is written'),
  HTTP_BODY_LIMIT_BYTES: whole(1024, 10_485_760)
    .default(1_048_576)
    .describe('Largest request body; a larger one is answered 413'),
  HTTP_REQUEST_TIMEOUT_MS: whole(100, 600_000)
    .default(15_000)
    .describe('How long a client may take to send a whole request'),
  IDEMPOTENCY_KEEP_SECONDS: whole(60, 31_536_000)
    .default(86_400)
    .describe('How long an Idempotency-Key is remembered with its answer'),
  HTTP_MAX_IN_FLIGHT: whole(1, 100_000)
    .default(1000)
    .describe('Requests that an instance answers at once; what comes beside them is answered 503'),
  HTTP_TRUSTED_PROXIES: z
    .string()
    .refine(
      (text) => text.split(',').every((one) => isNetwork(one.trim())),
      'must be addresses or networks like 10.0.0.0/8, with commas between',
    )
    .optional()
    .describe('Addresses or networks of proxies whose X-Forwarded-For says who asks; without them the connection does'),
  RATE_LIMIT_WINDOW_SECONDS: whole(1, 86_400)
    .default(60)
    .describe('The window in which requests are counted, by each instance for itself'),
  RATE_LIMIT_PER_PRINCIPAL: whole(1, 1_000_000_000).default(12_000).describe('Requests of one user in a window'),
  RATE_LIMIT_PER_ADDRESS: whole(1, 1_000_000_000)
    .default(12_000)
    .describe('Requests of one address in a window, of those who are not signed in'),
  RATE_LIMIT_LOG_INS_PER_ADDRESS: whole(1, 1_000_000_000)
    .default(120)
    .describe('Log-ins tried from one address in a window'),
  RATE_LIMIT_LOG_INS_PER_PAIR: whole(1, 1_000_000_000)
    .default(20)
    .describe('Log-ins tried with one e-mail address from one address, or from one known device, in a window'),
  RATE_LIMIT_LOG_INS_PER_EMAIL: whole(1, 1_000_000_000)
    .default(60)
    .describe('Log-ins tried with one e-mail address in a window, from wherever; those beyond it are slowed down'),
  RATE_LIMIT_SIGN_UPS_PER_ADDRESS: whole(1, 1_000_000_000)
    .default(60)
    .describe('Sign-ups tried from one address in a window'),
  RATE_LIMIT_PASSWORDS_PER_USER: whole(1, 1_000_000_000)
    .default(20)
    .describe('Times that one user may give the present password in a window'),
  RATE_LIMIT_PREVIEWS_PER_PRINCIPAL: whole(1, 1_000_000_000)
    .default(120)
    .describe('Previews of transfers by one user in a window'),
  RATE_LIMIT_MAX_KEYS: whole(1, 10_000_000)
    .default(20_000)
    .describe('Users, or addresses, that are counted at a time; who has not been seen longest is forgotten first'),
  HOLDFAST_HOME: z
    .string()
    .min(1)
    .default('.holdfast')
    .describe('Folder of the embedded database and its generated secrets'),
  EMBEDDED_DATABASE: z
    .enum(['true', 'false'])
    .optional()
    .describe(
      'The database that comes along: `true` uses it in production, and where others reach HOST, with the secret made for it; `false` never',
    ),
  DATABASE_WRITE_URL: postgresUrl
    .optional()
    .describe('Primary, as holdfast_app; without it the embedded PostgreSQL is started'),
  DATABASE_READ_URL: z
    .string()
    .refine(
      (text) => replicasIn(text) !== null,
      'must be one or more URLs like postgresql://user:password@host:5432/database, each alone or behind a name of its own and =',
    )
    .optional()
    .describe(
      'Replica, as holdfast_reader; several with spaces between, as URL or name=URL; without it reads go to the primary',
    ),
  DATABASE_OWNER_URL: postgresUrl.optional().describe('Primary, as holdfast_owner; only migrations use it'),
  DATABASE_POOL_SIZE: whole(1, 500)
    .default(10)
    .describe('Connections to the primary, and to each replica, that an instance may hold'),
  DATABASE_POOL_WAIT_MS: whole(10, 60_000)
    .default(2000)
    .describe('How long a request waits for a connection before it is answered 503'),
  DATABASE_START_WAIT_MS: whole(0, 3_600_000)
    .default(60_000)
    .describe('How long a start waits for a database that does not answer yet, while /startupz is 503'),
  DATABASE_STATEMENT_TIMEOUT_MS: whole(10, 600_000).default(10_000).describe('How long one statement may run'),
  DATABASE_LOCK_TIMEOUT_MS: whole(10, 600_000).default(5000).describe('How long one statement may wait for a lock'),
  DATABASE_IDLE_IN_TRANSACTION_TIMEOUT_MS: whole(10, 600_000)
    .default(5000)
    .describe('How long a transaction may stay open between two statements'),
  DATABASE_TRANSACTION_TIMEOUT_MS: whole(10, 600_000)
    .default(10_000)
    .describe('How long a boundary may last unless it says otherwise'),
  DATABASE_REPLICA_WAIT_MS: whole(0, 10_000)
    .default(50)
    .describe('How long a read waits for a replica to hold what it must see, before it asks the primary'),
  DATABASE_READ_CONSISTENCY: z
    .enum(['caller', 'instance', 'primary'])
    .default('caller')
    .describe(
      'What a read sees at least: what its caller wrote, what anybody wrote on this instance, or, on the primary, everything',
    ),
  EXTERNAL_WORK: z
    .enum(['raise', 'log', 'off'])
    .optional()
    .describe(
      'Outside work inside a boundary: `raise` fails it, `log` warns, `off` lets it; empty is `raise`, in production `log`',
    ),
  SEPARATE_WRITES: z
    .enum(['raise', 'log', 'off'])
    .optional()
    .describe(
      'A second write that a request, hook, job or command would store by itself: `raise` refuses it, `log` warns, `off` lets it; empty is `raise`, in production `log`',
    ),
  AUTH_SECRET: z
    .string()
    .superRefine((secret, context) => {
      const weakness = weaknessOf(secret);
      if (weakness !== null) context.addIssue({ code: 'custom', message: weakness });
    })
    .optional()
    .describe(
      'Key that signs access tokens, 32 random bytes or more in base64; generated for the embedded database, else required',
    ),
  AUTH_ACCESS_TOKEN_SECONDS: whole(1, 86_400).default(900).describe('Life of an access token'),
  AUTH_RECHECK_SECONDS: whole(0, 60)
    .default(5)
    .describe('How long a read of what is one’s own goes by an earlier look at its session; all else looks each time'),
  AUTH_REFRESH_TOKEN_SECONDS: whole(60, 31_536_000)
    .default(2_592_000)
    .describe('Life of a session that is not refreshed'),
  AUTH_SESSION_SECONDS: whole(60, 315_360_000)
    .default(7_776_000)
    .describe('Life of a session, however often it is refreshed'),
  LEDGER_SEAL_INTERVAL_MS: whole(0, 3_600_000)
    .default(1000)
    .describe(
      'How long after one turn the next transfers are sealed into the hash chain; 0 leaves that to other instances',
    ),
  RETENTION_SWEEP_INTERVAL_MS: whole(0, 3_600_000)
    .default(5000)
    .describe(
      'How long after one round all that is over (keys, sessions, expired reservations) is removed again; 0 leaves that to other instances',
    ),
  CURRENCIES: z
    .string()
    .refine(
      (text) => currenciesIn(text) !== null,
      'must be codes of ISO 4217 that have a minor unit, with commas between',
    )
    .optional()
    .describe(
      'In which accounts are opened and prices set, by their codes with commas between; without it any of ISO 4217. The first, or EUR, is that of a sign-up that names none',
    ),
  LEDGER_PENDING_SECONDS: whole(1, 2_592_000)
    .default(604_800)
    .describe('Life of a pending transfer that says nothing of it'),
  LEDGER_PENDING_PER_SENDER: whole(1, 100_000)
    .default(2000)
    .describe('Pending transfers that a person may have made at a time, from all their accounts'),
  LEDGER_PENDING_PER_PAIR: whole(1, 100_000).default(500).describe('Of those, to one account'),
  LEDGER_PENDING_PER_ACCOUNT: whole(1, 1_000_000)
    .default(20_000)
    .describe('Pending transfers to one account at a time, from whomever'),
  PHASED_WORKER_INTERVAL_MS: whole(0, 3_600_000)
    .default(5000)
    .describe('How long between two looks for phased runs whose caller is gone; 0 leaves them to other instances'),
  PHASED_LEASE_MS: whole(100, 3_600_000)
    .default(30_000)
    .describe('How long a phased run that nothing is heard of is left to whoever holds it'),
  SHUTDOWN_DRAIN_MS: whole(0, 120_000)
    .default(5000)
    .describe('After SIGTERM: how long requests are still served while /readyz answers 503'),
  SHUTDOWN_DEADLINE_MS: whole(100, 600_000)
    .default(20_000)
    .describe('After the drain: how long requests in flight may take to finish'),
} as const;
