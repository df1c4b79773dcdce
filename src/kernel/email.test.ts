/** @servers any */
import { canonicalEmail } from './email.ts';

const of64 = 'a'.repeat(64);

describe('an address has one spelling', () => {
  it.each([
    ['Ada@Example.COM', 'ada@example.com'],
    ['  ada@example.com\n', 'ada@example.com'],
    ['a/b=c@example.com', 'a/b=c@example.com'],
    ["!#$%&'*+-/=?^_`{|}~@example.com", "!#$%&'*+-/=?^_`{|}~@example.com"],
    [`${of64}@example.com`, `${of64}@example.com`],
    ['J\u00fcrgen@b\u00fccher.example', 'j\u00fcrgen@b\u00fccher.example'],
    ['ju\u0308rgen@bu\u0308cher.example', 'j\u00fcrgen@b\u00fccher.example'],
    ['ada@xn--bcher-kva.example', 'ada@b\u00fccher.example'],
    ['ada@B\u00dcCHER.example', 'ada@b\u00fccher.example'],
    ['\u7528\u6237@\u4f8b\u5b50.\u5e7f\u544a', '\u7528\u6237@\u4f8b\u5b50.\u5e7f\u544a'],
    ['ada@mail.example.museum', 'ada@mail.example.museum'],
  ])('%j is %j', (given, canonical) => {
    expect(canonicalEmail(given)).toBe(canonical);
    expect(canonicalEmail(canonical)).toBe(canonical);
  });
});

describe('no address is', () => {
  it.each([
    '',
    'ada',
    '@example.com',
    'ada@',
    'ada@@example.com',
    'ada@localhost',
    'ada@127.0.0.1',
    'ada@[127.0.0.1]',
    'ada@example.com.',
    'ada@-example.com',
    'ada@exa_mple.com',
    'ada@example..com',
    '.ada@example.com',
    'ada.@example.com',
    'a..b@example.com',
    'a b@example.com',
    '"a b"@example.com',
    'ada,bob@example.com',
    'ada\0@example.com',
    'ada\u00a0b@example.com',
    `${of64}a@example.com`,
    `${'\u00fc'.repeat(33)}@example.com`,
    `ada@${'a'.repeat(64)}.com`,
    `${of64}@${'a.'.repeat(100)}example`,
    'ada\ud800@example.com',
    'a\u200bda@example.com',
    'a\u202eda@example.com',
    'a\u00adda@example.com',
  ])('%j', (text) => {
    expect(canonicalEmail(text)).toBeNull();
  });

  it.each([
    ['the Kelvin sign for a k', 'mi\u212ae@example.com'],
    ['the long s', 'e\u017fther@example.com'],
    ['a capital I with a dot', '\u0130da@example.com'],
    ['a letter of full width', '\uff41da@example.com'],
    ['an at sign of full width', 'ada\uff20example.com'],
    ['a full stop of full width', 'ada@example\uff0ecom'],
    ['a ligature', 'o\ufb03ce@example.com'],
    ['an ordinal', 'ann\u00ba@example.com'],
    ['such a sign in the domain', 'ada@mi\u212ae.example'],
  ])('one with %s, which becomes ASCII by folding', (_, text) => {
    expect(canonicalEmail(text)).toBeNull();
  });
});
