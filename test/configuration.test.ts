import { readFileSync } from 'node:fs';
import { parseEnv } from 'node:util';
import { makeConfig } from '../src/config/config.ts';
import { ConfigError, describeVariables, readEnvironment, variables } from '../src/config/environment.ts';

const secret = 'correct horse battery staple, and more';
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
      HTTP_BODY_LIMIT_BYTES: '1e12',
    };
    expect(refusal(env)).toEqual([
      'The configuration has 7 errors:',
      '  PORT must be a number',
      '  LOG_LEVEL must be one of fatal, error, warn, info, debug, trace, silent',
      '  HTTP_BODY_LIMIT_BYTES must be at most 10485760',
      '  DATABASE_WRITE_URL must be a URL like postgresql://user:password@host:5432/database',
      '  DATABASE_POOL_SIZE must be at least 1',
      '  AUTH_SECRET must have at least 32 bytes; make one with: openssl rand -base64 48',
      '  SHUTDOWN_DRAIN_MS must be a whole number',
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
    expect(names.filter((name) => !refused.includes(name))).toEqual(['HOST', 'HOLDFAST_HOME']);
  });

  it('counts an empty variable as absent', () => {
    const empty = Object.fromEntries(Object.keys(variables).map((name) => [name, '']));
    expect(readEnvironment(empty)).toEqual(readEnvironment({}));
  });

  it('ignores what is not ours', () => {
    expect(readEnvironment({ PATH: '/bin', port: '1' })).toEqual(readEnvironment({}));
  });

  it('needs a secret with a database of its own, of 32 bytes rather than characters', () => {
    const { AUTH_SECRET: _, ...without } = own;
    expect(refusal(without)).toEqual([
      'The configuration has an error:',
      '  AUTH_SECRET is required with DATABASE_WRITE_URL; make one with: openssl rand -base64 48',
    ]);
    expect(refusal({ ...own, AUTH_SECRET: 'x'.repeat(31) })).toHaveLength(2);
    expect(readEnvironment({ ...own, AUTH_SECRET: 'é'.repeat(16) })).toMatchObject({ AUTH_SECRET: 'é'.repeat(16) });
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
    const marked = Object.fromEntries(Object.keys(variables).map((name, index) => [name, `marked ${index}`]));
    const reached = Object.values(makeConfig(marked as never)).flatMap(
      (slice) => Object.values(slice as object) as unknown[],
    );
    const unused = Object.keys(variables).filter((name) => !reached.includes(marked[name]));
    // NODE_ENV only settles a default. The others are read before there is a configuration: where the database is, and by whom it is migrated.
    expect(unused).toEqual(['NODE_ENV', 'HOLDFAST_HOME', 'DATABASE_OWNER_URL']);
    expect(values).not.toContain(undefined);
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
      'DATABASE_WRITE_URL',
      'DATABASE_READ_URL',
      'DATABASE_OWNER_URL',
      'EXTERNAL_WORK',
      'SEPARATE_WRITES',
      'AUTH_SECRET',
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

  it('has examples of the rest that work too', () => {
    const examples = parseEnv(text.replaceAll(/^# ([A-Z_]+=)/gm, '$1').replaceAll(/^[A-Z_]+=\n/gm, ''));
    expect(Object.keys(examples).sort()).toEqual(Object.keys(variables).sort());
    expect(readEnvironment(examples)).toMatchObject({ DATABASE_WRITE_URL: examples['DATABASE_WRITE_URL'] });
  });
});
