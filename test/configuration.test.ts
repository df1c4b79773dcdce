/** @servers any */
import { randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { parseEnv } from 'node:util';
import { makeConfig } from '../src/config/config.ts';
import { weaknessOf } from '../src/config/secret.ts';
import { ConfigError, describeVariables, readEnvironment } from '../src/config/environment.ts';
import { variables } from '../src/config/variables.ts';

const secret = randomBytes(48).toString('base64');
const own = {
  DATABASE_WRITE_URL: 'postgresql://holdfast_app:hunter2@db.example.com:5432/holdfast',
  AUTH_SECRET: secret,
};

function refusal(env: Record<string, string>): string[] {
  try {
    readEnvironment(env);
  } catch (error) {
    expect(error).toBeInstanceOf(ConfigError);
    return (error as Error).message.split('\n');
  }
  throw new Error('It was accepted.');
}

describe('the environment', () => {
  it('may be empty: the embedded database is started', () => {
    expect(readEnvironment({})).toMatchObject({
      HOST: '127.0.0.1',
      PORT: 3000,
      LOG_LEVEL: 'info',
      HOLDFAST_HOME: '.holdfast',
    });
    expect(readEnvironment({})).not.toHaveProperty('DATABASE_WRITE_URL');
  });

  it('is refused with all its mistakes at once, each in a sentence with the name of the variable', () => {
    const env = {
      PORT: 'http',
      DATABASE_POOL_SIZE: '0',
      LOG_LEVEL: 'loud',
      DATABASE_WRITE_URL: 'mysql://db',
      AUTH_SECRET: 'short',
      SHUTDOWN_DRAIN_MS: '1.5',
      HTTP_BODY_LIMIT_BYTES: '1000000000000',
    };
    expect(refusal(env)).toEqual([
      'The configuration has 7 errors:',
      '  PORT must be a whole number, in digits alone',
      '  LOG_LEVEL must be one of fatal, error, warn, info, debug, trace, silent',
      '  HTTP_BODY_LIMIT_BYTES must be at most 10485760',
      '  DATABASE_WRITE_URL must be a URL like postgresql://user:password@host:5432/database',
      '  DATABASE_POOL_SIZE must be at least 1',
      '  AUTH_SECRET must hold at least 32 bytes once it is decoded; make one with: openssl rand -base64 48',
      '  SHUTDOWN_DRAIN_MS must be a whole number, in digits alone',
    ]);
  });

  it('never repeats a value, which may be a secret in the wrong place', () => {
    const value = 'hunter2-hunter2';
    const names = Object.keys(variables);
    const refused = names.filter((name) => {
      try {
        readEnvironment({ [name]: value });
        return false;
      } catch (error) {
        expect(String((error as Error).stack)).not.toContain(value);
        return true;
      }
    });
    // What is any text cannot be refused for this one.
    expect(names.filter((name) => !refused.includes(name))).toEqual(['HOST', 'HOLDFAST_HOME', 'EMBEDDED_WAL_ARCHIVE']);
  });

  it('counts an empty variable as absent', () => {
    const empty = Object.fromEntries(Object.keys(variables).map((name) => [name, '']));
    expect(readEnvironment(empty)).toEqual(readEnvironment({}));
  });

  it('ignores what is not ours', () => {
    expect(readEnvironment({ PATH: '/bin', port: '1' })).toEqual(readEnvironment({}));
  });

  it('needs a secret with a database of its own', () => {
    const { AUTH_SECRET: _, ...without } = own;
    expect(refusal(without)).toEqual([
      'The configuration has an error:',
      '  AUTH_SECRET is required with DATABASE_WRITE_URL; make one with: openssl rand -base64 48',
    ]);
  });

  it.each([
    ['32 random bytes', randomBytes(32).toString('base64')],
    ['the same as base64url', randomBytes(32).toString('base64url')],
    ['48 of them', secret],
    ['1,000 of them', randomBytes(1000).toString('base64')],
    ['32 in hexadecimal digits', randomBytes(32).toString('hex')],
  ])('takes a secret of %s', (_, given) => {
    expect(readEnvironment({ ...own, AUTH_SECRET: given })).toMatchObject({ AUTH_SECRET: given });
  });

  it.each([
    ['is short', randomBytes(23).toString('base64')],
    ['is short in hexadecimal digits', randomBytes(31).toString('hex')],
    ['is the example', 'openssl rand -base64 48'],
    ['was the example', 'what openssl rand -base64 48 prints goes here'],
    ['is a sentence', 'correct horse battery staple, and more of them, and more'],
    ['is a sentence in base64', Buffer.from('correct horse battery staple, and more of them').toString('base64')],
    ['is one character', 'a'.repeat(64)],
    ['is one byte', Buffer.alloc(48, 7).toString('base64')],
    ['is one word, repeated', 'changeme'.repeat(8)],
    ['is a random word, repeated', randomBytes(12).toString('base64').repeat(5)],
    ['begins again before its end', randomBytes(30).toString('base64').repeat(2).slice(0, 60)],
    ['is the alphabet', 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/'],
    ['is words', 'correcthorsebatterystaplecorrecthorsebatterystaples'],
    ['has a known word in it', `${randomBytes(24).toString('base64')}MySecretKey0`],
    ['has few different bytes', Buffer.from(randomBytes(48).map((byte) => 200 + (byte % 9))).toString('base64')],
  ])('refuses a secret that %s, and does not repeat it', (_, given) => {
    const [title, ...reasons] = refusal({ ...own, AUTH_SECRET: given });
    expect(title).toBe('The configuration has an error:');
    expect(reasons).toEqual([expect.stringMatching(/^ {2}AUTH_SECRET .*; make one with: openssl rand -base64 48$/)]);
  });

  it('takes what openssl makes, every time', () => {
    const made = Array.from({ length: 2000 }, () => randomBytes(32).toString('base64'));
    expect(made.filter((given) => weaknessOf(given) !== null)).toEqual([]);
  });

  it('is refused with what is wrong between variables too when one alone is wrong', () => {
    const env = { PORT: 'abc', DATABASE_POOL_SIZE: '0', DATABASE_READ_URL: own.DATABASE_WRITE_URL, DATABASE_URL: 'x' };
    expect(refusal(env)).toEqual([
      'The configuration has 4 errors:',
      '  PORT must be a whole number, in digits alone',
      '  DATABASE_POOL_SIZE must be at least 1',
      '  DATABASE_READ_URL needs DATABASE_WRITE_URL beside it',
      expect.stringMatching(/^ {2}DATABASE_URL is set and is not read/),
    ]);
  });

  it('needs to be told in production that the database that comes along is meant', () => {
    expect(refusal({ NODE_ENV: 'production' })).toEqual([
      'The configuration has an error:',
      expect.stringMatching(/^ {2}DATABASE_WRITE_URL is required with NODE_ENV=production: .*add-operator/),
    ]);
    expect(readEnvironment({ NODE_ENV: 'production', EMBEDDED_DATABASE: 'true' })).toMatchObject({
      NODE_ENV: 'production',
    });
    expect(refusal({ EMBEDDED_DATABASE: 'false' })).toHaveLength(2);
    expect(refusal({ ...own, EMBEDDED_DATABASE: 'true' })).toHaveLength(2);
  });

  it('refuses an archive of the embedded database beside another one, unless it is off', () => {
    const sentence =
      'EMBEDDED_WAL_ARCHIVE is for the embedded database, and DATABASE_WRITE_URL names another, which archives by its own settings: unset one of them';
    expect(refusal({ ...own, EMBEDDED_WAL_ARCHIVE: '/archive' })).toContainEqual(expect.stringContaining(sentence));
    expect(() => readEnvironment({ ...own, EMBEDDED_WAL_ARCHIVE: 'off' })).not.toThrow();
  });

  const locations = [
    ...['DATABASE_URL', 'DATABASE_PRIVATE_URL', 'DATABASE_PUBLIC_URL', 'DIRECT_URL', 'POSTGRES_URL'],
    ...['POSTGRES_URL_NON_POOLING', 'POSTGRES_PRISMA_URL', 'POSTGRESQL_URL', 'PGHOST', 'PGHOSTADDR', 'PGSERVICE'],
  ];
  it.each(locations)('refuses %s by name where nothing else names a database', (name) => {
    expect(refusal({ [name]: 'postgres://hidden' })).toEqual([
      'The configuration has an error:',
      `  ${name} is set and is not read: name the database in DATABASE_WRITE_URL, or set EMBEDDED_DATABASE=true, or unset it`,
    ]);
    expect(readEnvironment({ [name]: 'postgres://hidden', EMBEDDED_DATABASE: 'true' })).toBeDefined();
    expect(readEnvironment({ ...own, [name]: 'postgres://hidden' })).toBeDefined();
  });

  it.each(['PGSSLMODE', 'PGSSLROOTCERT', 'PGOPTIONS', 'PGTARGETSESSIONATTRS', 'PGREQUIREAUTH', 'PGCHANNELBINDING'])(
    'refuses %s beside a database that it would change the connections to',
    (name) => {
      expect(refusal({ ...own, [name]: 'require' })).toEqual([
        'The configuration has an error:',
        expect.stringMatching(`^ {2}${name} is set and is not read: say it in DATABASE_WRITE_URL`),
      ]);
      expect(readEnvironment({ [name]: 'require' })).toBeDefined();
    },
  );

  it('refuses the password of an example', () => {
    for (const name of ['DATABASE_WRITE_URL', 'DATABASE_READ_URL', 'DATABASE_OWNER_URL'])
      expect(refusal({ ...own, [name]: 'postgresql://app:PASSWORD@host/holdfast' })).toEqual([
        'The configuration has an error:',
        `  ${name} has the password of the example: put the real one in its place`,
      ]);
  });

  it('cannot name a replica without its primary', () => {
    expect(refusal({ DATABASE_READ_URL: own.DATABASE_WRITE_URL })).toContain(
      '  DATABASE_READ_URL needs DATABASE_WRITE_URL beside it',
    );
  });
});

describe('the configuration', () => {
  const config = makeConfig({ ...readEnvironment(own), ...own });

  it('cannot be changed, however deep', () => {
    const frozen = Object.values(config).map((slice) => Object.isFrozen(slice));
    expect([Object.isFrozen(config), ...frozen]).toEqual(Array(Object.keys(config).length + 1).fill(true));
    expect(() => Object.assign(config.http, { port: 1 })).toThrow(TypeError);
  });

  it('holds every variable that the service itself needs', () => {
    const values = Object.values(config).flatMap((slice) => Object.values(slice as object) as unknown[]);
    const lists: Record<string, string> = {
      CURRENCIES: 'EUR',
      HTTP_CORS_ORIGINS: 'https://marked.example',
      MAIL_FROM: 'marked@shop.example',
    };
    const mark = (name: string, index: number): string => lists[name] ?? `marked ${index}`;
    const marked = Object.fromEntries(Object.keys(variables).map((name, index) => [name, mark(name, index)]));
    // However deep in its slice.
    const reached = JSON.stringify(makeConfig(marked as never));
    const unused = Object.keys(variables).filter((name) => !reached.includes(`"${marked[name]}"`));
    // NODE_ENV only settles a default, and MAIL_URL is taken apart (below). The others are read before there is a configuration: where the database is, and by whom it is migrated.
    expect(unused).toEqual([
      'NODE_ENV',
      'HOLDFAST_HOME',
      'EMBEDDED_DATABASE',
      'EMBEDDED_WAL_ARCHIVE',
      'DATABASE_OWNER_URL',
      'DATABASE_MIGRATION_WAIT_MS',
      'MAIL_URL',
    ]);
    expect(values).not.toContain(undefined);
  });
});

describe('mail', () => {
  const form = 'must be a URL like smtp://user:password@mail.example.com:587, or smtps:// for TLS from the first byte';
  const from = { MAIL_FROM: 'Shop <orders@shop.example>' };
  const mailOf = (env: Record<string, string>) =>
    makeConfig(readEnvironment({ ...own, ...env }) as Parameters<typeof makeConfig>[0]).mail;

  it.each([
    ['http://mail.example.com', form],
    ['mail.example.com:587', form],
    ['smtp://', form],
    ['smtp://mail.example.com/inbox', form],
    ['smtp://shop@mail.example.com', 'must have user and password together'],
    ['smtp://shop:hunter2%@mail.example.com', 'has a user or a password with a % that is not encoded: write %25'],
    [
      'smtp://mail.example.com?secure=hunter2',
      'has something behind the port that is not known: a ?, & or # in a password is written %3F, %26 or %23',
    ],
    ['smtp://mail.example.com?tls=maybe', 'may have tls=none alone, behind smtp://: without it TLS is demanded'],
    ['smtps://mail.example.com?tls=none', 'may have tls=none alone, behind smtp://: without it TLS is demanded'],
    [
      'smtp://shop:hunter2@mail.example.com?tls=none',
      'must not send a password to another machine without TLS: leave tls=none or the password out',
    ],
    ['smtp://mail.example.com?sslrootcert=/hunter2.pem', 'names a file in sslrootcert that cannot be read (ENOENT)'],
  ])('goes to no server by %s', (url, reason) => {
    const said = refusal({ ...own, ...from, MAIL_URL: url });
    expect(said).toEqual(['The configuration has an error:', `  MAIL_URL ${reason}`]);
  });

  it('is from somebody, whom the configuration names', () => {
    const MAIL_URL = 'smtp://mail.example.com';
    expect(refusal({ ...own, MAIL_URL })[1]).toBe('  MAIL_FROM is required with MAIL_URL: who mail is from');
    for (const wrong of [
      'Shop',
      'a@b@c',
      'Shop <orders@shop.example',
      'Shop\r\nBcc: eve@example.com <orders@shop.example>',
    ])
      expect(refusal({ ...own, MAIL_URL, MAIL_FROM: wrong })[1]).toBe(
        '  MAIL_FROM must be an address, or a name with <address> behind it',
      );
    expect(mailOf({ MAIL_URL, MAIL_FROM: 'orders@Shop.example' }).from).toEqual({
      name: '',
      address: 'orders@shop.example',
    });
  });

  it('is encrypted, unless the URL says otherwise, and has the port of its kind', () => {
    expect(mailOf({ ...from, MAIL_URL: 'smtp://shop:p%40ss@mail.example.com' })).toMatchObject({
      goes: 'out',
      server: { port: 587, encryption: 'starttls', tls: { verify: 'name' }, login: { user: 'shop', password: 'p@ss' } },
    });
    expect(mailOf({ ...from, MAIL_URL: 'smtps://[::1]' }).server).toMatchObject({
      host: '::1',
      port: 465,
      encryption: 'implicit',
      login: null,
    });
    expect(mailOf({ ...from, MAIL_URL: 'smtp://localhost:1025?tls=none' }).server).toMatchObject({
      port: 1025,
      encryption: null,
      tls: null,
    });
  });

  it('without a server is caught where nobody else reaches the service, and goes nowhere elsewhere', () => {
    expect(mailOf({}).goes).toBe('into a list');
    expect(mailOf({ HOST: '0.0.0.0' }).goes).toBe('nowhere');
    expect(mailOf({ NODE_ENV: 'production' }).goes).toBe('nowhere');
  });
});

it('lets the log quote the database, but not in production', () => {
  const messagesIn = (mode: string) => {
    const environment = readEnvironment({ ...own, NODE_ENV: mode });
    return makeConfig(environment as Parameters<typeof makeConfig>[0]).log.messages;
  };
  expect(messagesIn('production')).toBe('own');
  expect(['development', 'test'].map(messagesIn)).toEqual(['all', 'all']);
});

describe('the table of variables', () => {
  it('has every variable with its meaning, and a default wherever one is not optional', () => {
    const table = describeVariables();
    expect(table.map(({ name }) => name)).toEqual(Object.keys(variables));
    expect(table.filter(({ meaning }) => !/^[A-Z].{10,}/.test(meaning))).toEqual([]);
    expect(table.filter(({ fallback }) => fallback === '').map(({ name }) => name)).toEqual([
      'HTTP_TRUSTED_PROXIES',
      'HTTP_CORS_ORIGINS',
      'EMBEDDED_DATABASE',
      'EMBEDDED_WAL_ARCHIVE',
      'DATABASE_WRITE_URL',
      'DATABASE_READ_URL',
      'DATABASE_OWNER_URL',
      'EXTERNAL_WORK',
      'SEPARATE_WRITES',
      'AUTH_SECRET',
      'CURRENCIES',
      'WEBHOOK_PRIVATE_ADDRESSES',
      'MAIL_URL',
      'MAIL_FROM',
    ]);
  });
});

describe('.env.example', () => {
  const text = readFileSync('.env.example', 'utf8');

  it('names every variable, and copied as it is changes nothing', () => {
    const parsed = parseEnv(text);
    expect(Object.keys(parsed).sort()).toEqual(Object.keys(variables).sort());
    expect(readEnvironment(parsed)).toEqual(readEnvironment({}));
  });

  it('has examples of the rest, which work once secret and passwords are put in', () => {
    const examples = parseEnv(text.replaceAll(/^# ([A-Z_]+=)/gm, '$1').replaceAll(/^[A-Z_]+=\n/gm, ''));
    expect(Object.keys(examples).sort()).toEqual(Object.keys(variables).sort());
    const names = ['DATABASE_WRITE_URL', 'DATABASE_READ_URL', 'DATABASE_OWNER_URL', 'AUTH_SECRET', 'MAIL_URL'];
    const [title, ...reasons] = refusal(examples as Record<string, string>);
    expect(title).toBe('The configuration has 5 errors:');
    expect(reasons.map((reason) => reason.split(' ')[2]).sort()).toEqual(names.sort());
    const filled = parseEnv(
      Object.entries({ ...examples, AUTH_SECRET: secret })
        .map(([name, value]) => `${name}=${value?.replace('PASSWORD', 'pw')}`)
        .join('\n'),
    );
    expect(readEnvironment(filled)).toMatchObject({ DATABASE_WRITE_URL: filled['DATABASE_WRITE_URL'] });
  });
});
