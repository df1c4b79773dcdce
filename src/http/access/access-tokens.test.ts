/** @servers any */
import { createHmac } from 'node:crypto';
import { newId, showId } from '../../kernel/ids.ts';
import { later } from '../../kernel/clock.ts';
import { AccessTokens } from './access-tokens.ts';

const secret = 'a secret of thirty-two characters';
const tokens = () =>
  new AccessTokens({ secret, accessTokenSeconds: 60 } as ConstructorParameters<typeof AccessTokens>[0]);
const principal = { userId: newId(), sessionId: newId(), role: 'customer' } as const;
const now = new Date('2026-11-30T12:00:00.000Z');

/** Signed as ours are, with these claims in place of ours. */
function signed(claims: object): string {
  const ours = { iss: 'holdfast', sub: showId('usr', principal.userId), sid: showId('ses', principal.sessionId) };
  const at = now.getTime() / 1000;
  const parts = [
    { alg: 'HS256', typ: 'at+jwt' },
    { ...ours, role: 'customer', iat: at, exp: at + 60, ...claims },
  ];
  const text = parts.map((part) => Buffer.from(JSON.stringify(part)).toString('base64url')).join('.');
  return `${text}.${createHmac('sha256', secret).update(text).digest('base64url')}`;
}

describe('a token that was read before', () => {
  it('is good until its end, and no longer', () => {
    const read = tokens();
    const token = read.sign(principal, now);
    for (const seconds of [0, 1, 59]) expect(read.read(token, later(now, seconds))).toEqual(principal);
    for (const seconds of [60, 61, 3600]) expect(read.read(token, later(now, seconds))).toBeNull();
    expect(read.read(token, later(now, 59))).toEqual(principal);
  });

  it('is not good before its beginning', () => {
    const read = tokens();
    const token = signed({ nbf: now.getTime() / 1000 + 10 });
    for (const [seconds, is] of [
      [9, null],
      [10, principal],
      [9, null],
    ] as const)
      expect(read.read(token, later(now, seconds))).toEqual(is);
  });

  it('makes no other one good that differs in a character', () => {
    const read = tokens();
    const token = read.sign(principal, now);
    expect(read.read(token, now)).toEqual(principal);
    for (let at = 0; at < token.length; at++) {
      const other = token.slice(0, at) + (token[at] === 'A' ? 'B' : 'A') + token.slice(at + 1);
      expect(read.read(other, now)).toBeNull();
    }
  });

  it('is none of another secret, and none that was refused', () => {
    const [ours, theirs] = [tokens(), new AccessTokens({ secret: `${secret}!`, accessTokenSeconds: 60 } as never)];
    const token = theirs.sign(principal, now);
    for (let turn = 0; turn < 3; turn++) expect(ours.read(token, now)).toBeNull();
  });
});

it('of more tokens than are remembered each is good until its end', () => {
  const read = tokens();
  const many = Array.from({ length: 10_500 }, (_, n) => signed({ iat: n }));
  for (const token of many) expect(read.read(token, now)).toEqual(principal);
  for (const token of many) expect(read.read(token, later(now, 60))).toBeNull();
});
