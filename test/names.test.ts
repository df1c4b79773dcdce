/** @servers any */
import { randomUUID } from 'node:crypto';
import { startApp, type TestApp } from './support/app.ts';
import { makers, type Person } from './support/make.ts';

let service: TestApp;
let make: ReturnType<typeof makers>;
let ada: Person;
let operator: Person;
beforeAll(async () => {
  service = await startApp();
  make = makers(service);
  [ada, operator] = [await make.user({ balance: 1000 }), await make.operator()];
});
afterAll(() => service.close());

const newUser = (email: string, displayName = 'Ada') => ({
  email,
  password: 'correct horse battery',
  profile: { displayName },
});
const signUp = (email: string, displayName?: string) => service.as().post('/v1/users', newUser(email, displayName));

describe('an e-mail address', () => {
  it('is one address in each of its spellings, for sign-up, log-in and edit', async () => {
    const spellings = [
      'J\u00fcrgen@b\u00fccher.example',
      'ju\u0308rgen@xn--bcher-kva.example',
      ' J\u00dcRGEN@B\u00dcCHER.EXAMPLE',
    ];
    const { body: user } = await signUp(spellings[0] as string).expect(201);
    expect(user.email).toBe('j\u00fcrgen@b\u00fccher.example');
    for (const email of spellings) {
      expect((await signUp(email).expect(409)).body.code).toBe('email-taken');
      await service.as().post('/v1/sessions', { email, password: 'correct horse battery' }).expect(201);
    }
  });

  it('is not turned into somebody else’s', async () => {
    await signUp('mike@example.com').expect(201);
    for (const email of ['mi\u212ae@example.com', 'mike@example\uff0ecom', 'm\u0130ke@example.com']) {
      const { body } = await signUp(email).expect(422);
      expect(body.errors).toEqual([expect.objectContaining({ pointer: '/email', code: 'invalid-format' })]);
      await service.as().post('/v1/sessions', { email, password: 'correct horse battery' }).expect(401);
    }
  });

  it('has a local part of 64 octets at most', async () => {
    await signUp(`${'a'.repeat(200)}@example.com`).expect(422);
    await signUp(`${'a'.repeat(64)}@example.com`).expect(201);
  });
});

const bad: [string, string][] = [
  ['of one blank', ' '],
  ['of a no-break space', '\u00a0'],
  ['of a space without width', '\u200b'],
  ['of a joiner alone', '\u200d'],
  ['of a Hangul filler', '\u3164'],
  ['of an empty Braille pattern', '\u2800'],
  ['of a mark without a letter', '\u0301'],
  ['with the end of a line', 'Ada\r\nBcc: bob'],
  ['with a separator of lines', 'Ada\u2028Bob'],
  ['with a control character', 'Ada\u0007'],
  ['with one of C1', 'Ada\u0085'],
  ['with an override of its direction', 'Ada\u202egpj.exe'],
  ['with an override that is closed', 'A\u202eda\u202c'],
  ['with an isolate', 'Ada\u2066'],
  ['with a soft hyphen', 'A\u00adda'],
  ['with a space without width inside', 'A\u200bda'],
  ['with a byte order mark inside', 'A\ufeffda'],
  ['with a tag', 'Ada\u{e0041}'],
];

/** Each way in which a name comes in: the status with a good one, and the call. */
const ways: Record<string, [number, (name: string) => PromiseLike<{ status: number; body: { errors?: object[] } }>]> = {
  'of a person who signs up': [201, (name) => signUp(`${randomUUID()}@example.com`, name)],
  'of a person who is edited': [
    200,
    (displayName) => ada.api.patch(`/v1/users/${ada.id}`, { profile: { displayName } }).set('if-match', '*'),
  ],
  'of an account': [201, (name) => ada.api.post('/v1/accounts', { currency: 'EUR', name })],
  'of an account that is edited': [
    200,
    (name) => ada.api.patch(`/v1/accounts/${ada.accountId}`, { name }).set('if-match', '*'),
  ],
  'of a product': [201, (name) => operator.api.post('/v1/products', { slug: randomUUID(), name, skus: [sku('One')] })],
  'of a SKU': [
    201,
    (name) => operator.api.post('/v1/products', { slug: randomUUID(), name: 'One', skus: [sku(name)] }),
  ],
};
const sku = (name: string) => ({ code: randomUUID().toUpperCase(), name, price: { amount: 1, currency: 'EUR' } });

describe.each(Object.entries(ways))('the name %s', (_, [done, send]) => {
  it('can be seen and has one line', async () => {
    for (const [how, name] of bad) {
      const { status, body } = await send(name);
      expect([how, status, body.errors?.length]).toEqual([how, 422, 1]);
    }
  });

  it('may be in any script', async () => {
    for (const name of [
      '\u0623\u062d\u0645\u062f',
      '\u05d3\u05d5\u05d3 Levy',
      '\u092e\u0939\u093e\u0930\u093e\u0937\u094d\u200d\u091f\u094d\u0930',
      'Zo\u00eb \u{1f468}\u200d\u{1f680}',
      '\u2764\ufe0f',
      'O\u2019Neil',
    ])
      expect([name, (await send(name)).status]).toEqual([name, done]);
  });
});

it('a name is kept composed and without blanks around it', async () => {
  const { body } = await signUp('zoe@example.com', '  Zoe\u0308 ').expect(201);
  expect(body.profile.displayName).toBe('Zo\u00eb');
});

describe('a note that others read', () => {
  const send = (note: string) =>
    ada.api.post('/v1/transfers', {
      fromAccountId: ada.accountId,
      toAccountId: ada.accountId,
      amount: { amount: 1, currency: 'EUR' },
      note,
    });
  it.each([
    ['with a control character', 'a\u0007b'],
    ['with an override that stays open', 'pay \u202e100'],
    ['with an override that is closed on another line', 'pay \u202e100\n\u202c'],
    ['with a close that nothing opens', 'a\u202cb'],
    ['with an isolate that another sign closes', 'a\u2067b\u202c'],
  ])('is refused %s', async (_, note) => {
    const { body } = await send(note).expect(422);
    expect(body.errors).toEqual([expect.objectContaining({ pointer: '/note' })]);
  });

  it('may have lines, and directions that it turns back', async () => {
    for (const note of ['a\r\n\tb', 'to \u2067\u05d3\u05d5\u05d3\u2069, thanks', 'a\u202ab\u202c'])
      expect((await send(note)).body.code).not.toBe('validation-failed');
  });
});
