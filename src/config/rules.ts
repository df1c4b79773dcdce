import { refusedVariables } from './platform-variables.ts';

type Given = Readonly<Record<string, string | undefined>>;

/** A rule between variables: what is wrong, beginning with the name of one of them; null when nothing is. */
type Rule = (given: Given) => string | null;

// As the README and .env.example have them.
const placeholder = /:(PASSWORD|…|%E2%80%A6)@/;

const rules: readonly Rule[] = [
  ({ DATABASE_READ_URL, DATABASE_WRITE_URL }) =>
    DATABASE_READ_URL !== undefined && DATABASE_WRITE_URL === undefined
      ? 'DATABASE_READ_URL needs DATABASE_WRITE_URL beside it'
      : null,
  ({ AUTH_SECRET, DATABASE_WRITE_URL }) =>
    AUTH_SECRET === undefined && DATABASE_WRITE_URL !== undefined
      ? 'AUTH_SECRET is required with DATABASE_WRITE_URL; make one with: openssl rand -base64 48'
      : null,
  ({ EMBEDDED_DATABASE, DATABASE_WRITE_URL }) =>
    EMBEDDED_DATABASE === 'true' && DATABASE_WRITE_URL !== undefined
      ? 'EMBEDDED_DATABASE asks for the database that comes along, and DATABASE_WRITE_URL names another: unset one of them'
      : null,
  ({ EMBEDDED_WAL_ARCHIVE, DATABASE_WRITE_URL }) =>
    EMBEDDED_WAL_ARCHIVE !== undefined && EMBEDDED_WAL_ARCHIVE !== 'off' && DATABASE_WRITE_URL !== undefined
      ? 'EMBEDDED_WAL_ARCHIVE is for the embedded database, and DATABASE_WRITE_URL names another, which archives by its own settings: unset one of them'
      : null,
  ({ EMBEDDED_DATABASE, DATABASE_WRITE_URL }) =>
    EMBEDDED_DATABASE === 'false' && DATABASE_WRITE_URL === undefined
      ? 'DATABASE_WRITE_URL is required with EMBEDDED_DATABASE=false'
      : null,
  ({ NODE_ENV, EMBEDDED_DATABASE, DATABASE_WRITE_URL }) =>
    NODE_ENV === 'production' && EMBEDDED_DATABASE === undefined && DATABASE_WRITE_URL === undefined
      ? `DATABASE_WRITE_URL is required with NODE_ENV=production: ${instead}`
      : null,
  ({ MAIL_URL, MAIL_FROM }) =>
    MAIL_URL !== undefined && MAIL_FROM === undefined ? 'MAIL_FROM is required with MAIL_URL: who mail is from' : null,
  ...(['DATABASE_WRITE_URL', 'DATABASE_READ_URL', 'DATABASE_OWNER_URL', 'MAIL_URL'] as const).map(
    (name): Rule =>
      (given) =>
        placeholder.test(given[name] ?? '')
          ? `${name} has the password of the example: put the real one in its place`
          : null,
  ),
];

/** What a start that others rely on, or reach, has instead of the database that comes along. */
export const instead =
  'set it and AUTH_SECRET, run "npm run db:migrate" and "npm run add-operator -- <e-mail>"; or set EMBEDDED_DATABASE=true to keep all data and a generated secret in HOLDFAST_HOME';

/** Every rule between variables that is broken. `given`: our variables that are set, right or wrong; `env`: all there are. */
export const brokenRules = (given: Given, env: Given): string[] => [
  ...rules.flatMap((rule) => rule(given) ?? []),
  ...refusedVariables(env, {
    writeUrl: given['DATABASE_WRITE_URL'],
    isEmbeddedMeant: given['EMBEDDED_DATABASE'] === 'true',
  }),
];
