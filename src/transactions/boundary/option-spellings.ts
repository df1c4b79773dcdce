import { inspect } from 'node:util';

// What other libraries call the options of a transaction: Prisma, nestjs-cls, TypeORM, MikroORM, Sequelize, Spring. In small letters, without
// what stands between words.

const renamed: Readonly<Record<string, string>> = {
  isolationlevel: 'isolation',
  level: 'isolation',
  transactionisolation: 'isolation',
  propagationbehavior: 'propagation',
  propagationmode: 'propagation',
  accessmode: 'readOnly',
  timeoutms: 'timeout',
  timeoutmillis: 'timeout',
  timeoutstring: 'timeout',
  timeoutinmilliseconds: 'timeout',
  transactiontimeout: 'timeout',
  statementtimeout: 'timeout',
  lockwait: 'lockTimeout',
  locktimeoutms: 'lockTimeout',
  retries: 'retry',
  retrycount: 'retry',
  maxretries: 'retry',
  maxattempts: 'retry',
  attempts: 'retry',
  label: 'name',
  tag: 'name',
};

const everyError = 'every error that leaves the boundary rolls it back. Put what may fail into a nested boundary.';
const oneDatabase = 'there is one database. Leave it out.';
const explained: Readonly<Record<string, string>> = {
  maxwait: 'how long a connection is waited for is DATABASE_POOL_WAIT_MS.',
  rollbackfor: everyError,
  rollbackforclassname: everyError,
  rollbackon: everyError,
  norollbackfor: everyError,
  norollbackforclassname: everyError,
  connection: oneDatabase,
  connectionname: oneDatabase,
  datasource: oneDatabase,
  datasourcename: oneDatabase,
  transactionmanager: oneDatabase,
  value: oneDatabase,
};

/** A value that is written otherwise elsewhere, by option: what to say, or what to do. */
const values: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  isolation: {
    readuncommitted: "PostgreSQL runs READ UNCOMMITTED as 'read-committed': say that.",
    snapshot: "say 'repeatable-read'.",
    default: 'leave it out for read-committed.',
    '1': "PostgreSQL runs READ UNCOMMITTED as 'read-committed': say that.",
    '2': "say 'read-committed'.",
    '4': "say 'repeatable-read'.",
    '8': "say 'serializable'.",
  },
  propagation: {
    new: "say 'requires-new'.",
    default: 'leave it out for required.',
    '0': "say 'required'.",
    '1': "say 'supports'.",
    '2': "say 'mandatory'.",
    '3': "say 'requires-new'.",
    '4': "say 'not-supported'.",
    '5': "say 'never'.",
    '6': "say 'nested'.",
  },
  readOnly: { '1': 'say true.', '0': 'say false.', readonly: 'say true.', readwrite: 'say false.' },
};

const plain = (text: string): string => text.toLowerCase().replace(/[^a-z0-9]/g, '');

/** What stands here for a member of this name; null when nothing is known to. */
export function insteadOfMember(member: string, known: readonly string[]): string | null {
  const said = plain(member);
  const ours = known.find((one) => plain(one) === said) ?? renamed[said];
  return ours === undefined ? (explained[said] ?? null) : `say ${ours}.`;
}

/** What stands here for this value of the option; null when nothing is known to. */
export function insteadOfValue(option: string, value: unknown, known: readonly unknown[]): string | null {
  const said = plain(typeof value === 'object' ? '' : shown(value)).replace(new RegExp(`^${plain(option)}`), '');
  const ours = said === '' ? undefined : known.find((one) => plain(shown(one)) === said);
  if (ours !== undefined) return `say ${inspect(ours)}.`;
  return values[option]?.[said] ?? null;
}

const longest = 60;

/** A value, in a sentence. */
export function shown(value: unknown): string {
  const text = typeof value === 'string' ? value : inspect(value, { depth: 0, breakLength: Infinity });
  return text.length > longest ? `${text.slice(0, longest)}…` : text;
}
