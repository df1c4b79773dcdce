import { isIP } from 'node:net';
import { canonicalEmail } from '../kernel/email.ts';
import { isLoopbackAddress } from './address.ts';
import { refusalOfFiles } from './tls-files.ts';
import type { TlsDemand } from './url-parameters.ts';

/** The server that takes our mail, as MAIL_URL names it. */
export interface MailServer {
  readonly host: string;
  readonly port: number;
  /** `implicit`: from the first byte · `starttls`: demanded before anything is told · null: none, because the URL says so. */
  readonly encryption: 'implicit' | 'starttls' | null;
  /** Whom its certificate must be signed by; null without encryption. */
  readonly tls: TlsDemand | null;
  readonly login: { readonly user: string; readonly password: string } | null;
}

/** Who mail is from. */
export interface MailSenderName {
  readonly name: string;
  readonly address: string;
}

const form = 'must be a URL like smtp://user:password@mail.example.com:587, or smtps:// for TLS from the first byte';
const ports: Readonly<Record<string, number>> = { 'smtp:': 587, 'smtps:': 465 };

/** Why MAIL_URL cannot be used on this machine, in sentences that repeat no value. */
export function refusalsOfMailUrl(text: string): readonly string[] {
  const server = readMailUrl(text);
  if (typeof server === 'string') return [server];
  const file = refusalOfFiles(server.tls);
  return file === null ? [] : [file];
}

/** The server that the URL names, or why it names none. */
export function readMailUrl(text: string): MailServer | string {
  const url = URL.parse(text);
  return url === null ? form : (mistakes.find(({ isIn }) => isIn(url))?.refusal ?? serverOf(url));
}

function serverOf(url: URL): MailServer {
  const encryption = isPlain(url) ? null : url.protocol === 'smtps:' ? 'implicit' : 'starttls';
  const tls = isPlain(url) ? null : demandOf(url.searchParams.get('sslrootcert'));
  return { host: hostOf(url), port: Number(url.port || ports[url.protocol]), encryption, tls, login: loginOf(url) };
}

interface Mistake {
  readonly isIn: (url: URL) => boolean;
  readonly refusal: string;
}

const known = new Set(['tls', 'sslrootcert']);

const mistakes: readonly Mistake[] = [
  {
    isIn: ({ protocol, hostname, pathname }) =>
      !(protocol in ports) || hostname === '' || !['', '/'].includes(pathname),
    refusal: form,
  },
  {
    isIn: ({ hash, searchParams }) => hash !== '' || [...searchParams.keys()].some((name) => !known.has(name)),
    refusal: 'has something behind the port that is not known: a ?, & or # in a password is written %3F, %26 or %23',
  },
  { isIn: ({ port }) => port === '0', refusal: 'has a port that is none' },
  {
    isIn: ({ username, password }) => (username === '') !== (password === ''),
    refusal: 'must have user and password together',
  },
  {
    isIn: ({ username, password }) => !isEncoded(username) || !isEncoded(password),
    refusal: 'has a user or a password with a % that is not encoded: write %25',
  },
  {
    isIn: (url) => url.searchParams.has('tls') && (!isPlain(url) || url.protocol === 'smtps:'),
    refusal: 'may have tls=none alone, behind smtp://: without it TLS is demanded',
  },
  {
    isIn: ({ searchParams }) => searchParams.get('sslrootcert') === '',
    refusal: 'must not have sslrootcert without a value',
  },
  {
    isIn: (url) => isPlain(url) && url.searchParams.has('sslrootcert'),
    refusal: 'names sslrootcert beside tls=none',
  },
  {
    isIn: (url) => isPlain(url) && url.username !== '' && !isOurMachine(hostOf(url)),
    refusal: 'must not send a password to another machine without TLS: leave tls=none or the password out',
  },
];

const isPlain = ({ searchParams }: URL): boolean => searchParams.get('tls') === 'none';

const hostOf = ({ hostname }: URL): string => hostname.replaceAll(/^\[|\]$/g, '');

function isEncoded(text: string): boolean {
  try {
    decodeURIComponent(text);
    return true;
  } catch {
    return false;
  }
}

const loginOf = ({ username, password }: URL): MailServer['login'] =>
  username === '' ? null : { user: decodeURIComponent(username), password: decodeURIComponent(password) };

const demandOf = (sslrootcert: string | null): TlsDemand => ({
  verify: 'name',
  sslrootcert,
  sslcert: null,
  sslkey: null,
  sslpassword: null,
  minVersion: null,
  maxVersion: null,
});

const isOurMachine = (host: string): boolean => host === 'localhost' || (isIP(host) > 0 && isLoopbackAddress(host));

/** The sender that `Shop <orders@shop.example>`, or an address alone, names; null for what is neither. */
export function readMailSender(text: string): MailSenderName | null {
  const [, name = '', given = ''] = /^([^<>"\p{C}\p{Zl}\p{Zp}]*)<([^<>]+)>$/u.exec(text) ?? [];
  const address = canonicalEmail(given === '' ? text : given);
  return address === null ? null : { name: name.trim(), address };
}
