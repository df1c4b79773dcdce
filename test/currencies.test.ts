/** @servers any */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { currenciesIn, exponents } from '../src/kernel/currencies.ts';
import { api, serve, startApp, type TestApp } from './support/app.ts';
import { findMistakes } from './support/books.ts';
import { atOnce, crowd, tally } from './support/crowd.ts';
import { makers, type Person } from './support/make.ts';

describe('the table of currencies', () => {
  // As the maintenance agency publishes it: list one of ISO 4217. What has no minor unit says N.A.
  const published = readFileSync(join(__dirname, '../node_modules/currency-codes/iso-4217-list-one.xml'), 'utf8');
  const entries = [...published.matchAll(/<Ccy>([A-Z]{3})<\/Ccy>\s*<CcyNbr>\d+<\/CcyNbr>\s*<CcyMnrUnts>([^<]+)</g)];

  it('is that of ISO 4217, with the exponents that stand there', () => {
    const listed = new Map(
      entries.filter(([, , units]) => units !== 'N.A.').map(([, code = '', units]) => [code, Number(units)]),
    );
    expect(listed.size).toBeGreaterThan(150);
    expect(Object.fromEntries([...listed].filter(([code, digits]) => exponents.get(code) !== digits))).toEqual({});
    // Of later amendments.
    expect([...exponents.keys()].filter((code) => !listed.has(code)).sort()).toEqual(['XAD', 'XCG']);
  });

  it('has nothing in it that is no money', () => {
    const without = new Set(entries.filter(([, , units]) => units === 'N.A.').map(([, code = '']) => code));
    expect([...without]).toEqual(expect.arrayContaining(['XAU', 'XTS', 'XXX']));
    expect([...without].filter((code) => exponents.has(code))).toEqual([]);
  });

  it.each([
    ['EUR', ['EUR']],
    ['JPY, KWD,EUR  JPY', ['JPY', 'KWD', 'EUR']],
    ['EUR, XAU', null],
    ['eur', null],
    [' , ', null],
  ])('gives of %j %j', (text, codes) => {
    expect(currenciesIn(text)).toEqual(codes);
  });
});

describe('a shop', () => {
  let service: TestApp;
  let make: ReturnType<typeof makers>;
  let operator: Person;
  beforeAll(async () => {
    service = await startApp();
    make = makers(service);
    operator = await make.operator();
  });
  afterEach(async () => expect(await findMistakes(service.database)).toEqual([]));
  afterAll(() => service.close());

  const houses = async (currency: string): Promise<number> =>
    (await service.database.query(`SELECT FROM account WHERE house IS NOT NULL AND currency = $1`, [currency])).length;

  it.each(['CLP', 'KRW', 'VND', 'ISK', 'INR', 'HUF', 'TWD', 'BRL', 'UGX', 'NOK', 'DKK', 'CAD', 'CLF', 'TND'])(
    'deals in %s without a migration: account, deposit, price and order',
    async (currency) => {
      expect(await houses(currency)).toBe(0);
      const [buyer] = (await crowd(service, 1, { balance: 500, currency })) as [Person];
      const sku = await make.sku(3, 100, currency);
      const { body } = await buyer.api.post('/v1/orders', make.orderOf(buyer, [sku])).expect(201);
      expect(body.total).toEqual({ amount: 100, currency });
      await buyer.api.post(`/v1/orders/${body.id}/cancel`).expect(200);
      expect(await make.balanceOf(buyer)).toBe(500);
      expect(await houses(currency)).toBe(2);
    },
  );

  it.each(['XAU', 'XXX', 'EURO', 'eur', 'ABC'])('does not deal in %s', async (currency) => {
    const [person] = (await crowd(service, 1)) as [Person];
    const { body } = await person.api.post('/v1/accounts', { currency }).expect(422);
    expect([body.code, body.errors[0].pointer]).toEqual(['validation-failed', '/currency']);
  });

  it('makes the accounts of the house once, by many who need them at once on two instances', async () => {
    const second = await serve(service.database, {});
    try {
      const people = await crowd(service, 10, { currency: 'PLN' });
      expect(await houses('PLN')).toBe(0);
      const answers = await atOnce(10, (n) =>
        api(n % 2 ? service.url : second.url, operator.token).post('/v1/deposits', {
          accountId: people[n]!.accountId,
          amount: { amount: 5, currency: 'PLN' },
        }),
      );
      expect(tally(answers)).toEqual({ '201': 10 });
      expect(await houses('PLN')).toBe(1);
    } finally {
      await second.app.close();
    }
  });

  it('forgets an account of the house whose boundary was taken back', async () => {
    const [person] = (await crowd(service, 1, { currency: 'CZK' })) as [Person];
    const deposit = (amount: number) =>
      operator.api.post('/v1/deposits', { accountId: person.accountId, amount: { amount, currency: 'CZK' } });
    await operator.api.patch(`/v1/accounts/${person.accountId}`, { frozen: true, reason: 'Wait' }).set('if-match', '*');
    await deposit(5).expect(409);
    expect(await houses('CZK')).toBe(0);
    await operator.api.patch(`/v1/accounts/${person.accountId}`, { frozen: false }).set('if-match', '*').expect(200);
    await deposit(5).expect(201);
    expect(await make.balanceOf(person)).toBe(5);
  });

  it('is told by configuration in which currencies, and goes on with what there is in others', async () => {
    const [person] = (await crowd(service, 1, { balance: 10, currency: 'SEK' })) as [Person];
    const [friend] = (await crowd(service, 1, { currency: 'SEK' })) as [Person];
    const { app, url } = await serve(service.database, { CURRENCIES: 'CHF, EUR' });
    try {
      const as = api(url, person.token);
      const refused = await as.post('/v1/accounts', { currency: 'SEK' }).expect(422);
      expect([refused.body.code, refused.body.errors]).toEqual([
        'currency-not-accepted',
        [{ pointer: '/currency', code: 'currency-not-accepted' }],
      ]);
      await as.post('/v1/accounts', { currency: 'EUR' }).expect(201);
      const sku = { code: 'IN-SEK', name: 'One', price: { amount: 5, currency: 'SEK' }, onHand: 1 };
      const product = await api(url, operator.token)
        .post('/v1/products', { slug: 'in-sek', name: 'One', skus: [sku] })
        .expect(422);
      expect(product.body.errors[0].pointer).toBe('/skus/0/price/currency');
      const signUp = { email: 'first@example.com', password: 'long enough to be good', profile: { displayName: 'F' } };
      expect((await api(url).post('/v1/users', signUp).expect(201)).body.accounts[0].currency).toBe('CHF');
      const sent = {
        fromAccountId: person.accountId,
        toAccountId: friend.accountId,
        amount: { amount: 4, currency: 'SEK' },
      };
      await as.post('/v1/transfers', sent).expect(201);
    } finally {
      await app.close();
    }
  });
});
