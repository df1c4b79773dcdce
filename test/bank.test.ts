/** @servers any */
import type { Response } from 'supertest';
import { showId } from '../src/kernel/ids.ts';
import { ChainService } from '../src/modules/audit/chain.service.ts';
import { startApp, type TestApp } from './support/app.ts';
import { findMistakes } from './support/books.ts';
import { fullCount } from './support/counts.ts';
import { atOnce, crowd, eventually, tally } from './support/crowd.ts';
import { makers, type Person, uuidOf } from './support/make.ts';
import { randomFrom } from './support/random.ts';

// Set BANK_SEED to repeat a run that failed, BANK_OPERATIONS or BANK_SECONDS for a longer one. It ends when both are over.
const seed = Number(process.env['BANK_SEED'] ?? Date.now() % 1_000_000);
const operations = Number(process.env['BANK_OPERATIONS'] ?? 1300);
const seconds = Number(process.env['BANK_SECONDS'] ?? fullCount(0, 180));
const currencies = ['EUR', 'JPY', 'KWD'];
const peoplePerCurrency = 6;
const mostAccounts = 4;
const width = 24;
// What may be refused here, and with which words. A 5xx is never among them.
const refusals = new RegExp(
  `^(422 (${[
    ...['insufficient-funds', 'same-account', 'currency-mismatch', 'balance-too-large'],
    ...['exceeds-pending', 'exceeds-remaining'],
  ].join('|')})|409 (${[
    ...['out-of-stock', 'insufficient-stock', 'not-cancellable', 'account-frozen', 'account-closed'],
    ...['already-posted', 'already-voided', 'expired', 'not-posted', 'not-reversible'],
    // Of a posting by the sender: the other account has been frozen, closed or limited since.
    ...['pending-transfers', 'balance-not-zero', 'cannot-receive'],
  ].join('|')}))$`,
);

interface Customer extends Person {
  readonly currency: string;
  /** The first is never closed. */
  readonly accounts: string[];
}
interface Goods {
  readonly id: string;
  readonly currency: string;
}
interface Pending {
  readonly id: string;
  readonly owner: Customer;
  readonly toAccountId: string;
  readonly isShort: boolean;
}
/** What the service said it did. */
interface Acknowledged {
  readonly transfers: Map<string, number>;
  readonly pending: Map<string, Pending>;
  /** What became of pending ones: `posted 12`, `voided 0`. */
  readonly settlements: Map<string, string>;
  readonly orders: Map<string, { total: number; isCancelled: boolean }>;
  readonly movements: Map<string, number>;
  /** With who closed each. */
  readonly closed: Map<string, Customer>;
}
/** Null where there was nothing yet that it could be done to. */
type Operation = () => Promise<Response | null>;

let service: TestApp;
let make: ReturnType<typeof makers>;
let operator: Person;
let customers: Customer[];
let goods: Goods[];
const said: Acknowledged = {
  transfers: new Map(),
  pending: new Map(),
  settlements: new Map(),
  orders: new Map(),
  movements: new Map(),
  closed: new Map(),
};
const answers: Response[] = [];
/** How often each kind of operation was tried, and how often it was done. */
const kinds = new Map<string, { tried: number; done: number }>();
const trialBalances: { balanced: boolean; currencies: { balances: string }[] }[] = [];

beforeAll(
  async () => {
    service = await startApp({
      DATABASE_POOL_SIZE: '12',
      DATABASE_POOL_WAIT_MS: '20000',
      // Nothing waits so long for any other reason than that the machine is busy.
      DATABASE_LOCK_TIMEOUT_MS: '20000',
      DATABASE_STATEMENT_TIMEOUT_MS: '30000',
      DATABASE_TRANSACTION_TIMEOUT_MS: '30000',
      LEDGER_SEAL_INTERVAL_MS: '200',
    });
    make = makers(service);
    operator = await make.operator();
    customers = [];
    goods = [];
    for (const currency of currencies) {
      for (const person of await crowd(service, peoplePerCurrency, { currency }))
        customers.push({ ...person, currency, accounts: [person.accountId] });
      const { skus } = await make.product({ onHand: [40, 40, 40], price: 250, currency });
      for (const { id } of skus) goods.push({ id, currency });
    }
    const random = randomFrom(seed);
    const endsAt = performance.now() + seconds * 1000;
    let begun = 0;
    await atOnce(width, async () => {
      while (begun++ < operations || performance.now() < endsAt) {
        // DecoratedMethod when its turn comes, before anything is waited for: which operation is the n-th does not depend on the answers.
        const [kind, operation] = draw(random);
        const answer = await operation();
        if (answer !== null) answers.push(answer);
        const count = kinds.get(kind) ?? { tried: 0, done: 0 };
        kinds.set(kind, {
          tried: count.tried + 1,
          done: count.done + (answer !== null && answer.status < 300 ? 1 : 0),
        });
      }
    });
  },
  (seconds + 240) * 1000,
);
afterAll(() => service.close());

/** Fails with the seed in the message. */
const seeded = (check: () => void | Promise<void>) => async (): Promise<void> => {
  try {
    await check();
  } catch (error) {
    (error as Error).message = `BANK_SEED=${seed}\n${(error as Error).message}`;
    throw error;
  }
};

// How often of a hundred each is drawn.
const shares = {
  deposit: 9,
  transfer: 15,
  pend: 9,
  post: 6,
  void: 4,
  reverse: 5,
  batch: 5,
  preview: 2,
  order: 19,
  cancel: 9,
  adjust: 6,
  freeze: 2,
  limit: 3,
  open: 2,
  close: 3,
  trialBalance: 1,
} as const;
type Kind = keyof typeof shares;
const lots = Object.entries(shares).flatMap(([kind, share]) => Array<Kind>(share).fill(kind as Kind));

function draw({ whole, pick }: ReturnType<typeof randomFrom>): [Kind, Operation] {
  const [kind, who, amount, units] = [pick(lots), pick(customers), whole(1, 3000), whole(1, 4)];
  const peers = customers.filter(({ currency }) => currency === who.currency);
  // One in ten goes to whomever it hits, also of another currency.
  const to = whole(1, 10) === 1 ? pick(customers) : pick(peers);
  const peer = pick(peers);
  const mine = goods.filter(({ currency }) => currency === who.currency);
  const [one, other, place, flip] = [pick(mine), pick(mine), whole(0, 1_000_000), whole(1, 3)];
  const work: Record<Kind, Operation> = {
    deposit: () => deposit(who, amount),
    transfer: () => send(who, between(who, to, amount, place)),
    pend: () => send(who, pendingOf(between(who, to, amount, place), flip === 1)),
    post: () => settle(place, 'post', flip === 1 ? amount : null),
    void: () => settle(place, 'void', null),
    reverse: () => reverse(place, flip === 1 ? null : amount),
    batch: () => batch(who, flip === 1 ? 'atomic' : 'partial', [to, peer, to], amount),
    preview: () => who.api.post('/v1/transfers/preview', between(who, to, amount, place)),
    order: () => order(who, [one, other], units),
    cancel: () => cancel(place),
    adjust: () => adjust(one, units * (flip === 1 ? -1 : 3)),
    freeze: () => freeze(accountOf(who, place)),
    limit: () => limit(who, place, flip === 1 ? null : amount),
    open: () => open(who),
    close: () => close(who),
    trialBalance: () => trialBalance(),
  };
  return [kind, work[kind]];
}
const accountOf = ({ accounts }: Customer, place: number): string => accounts[place % accounts.length] as string;

interface Body {
  readonly fromAccountId: string;
  readonly toAccountId: string;
  readonly amount: { readonly amount: number; readonly currency: string };
  readonly type?: 'pending';
  readonly expiresInSeconds?: number;
}
const between = (from: Customer, to: Customer, amount: number, place: number): Body => ({
  fromAccountId: accountOf(from, place),
  toAccountId: accountOf(to, place >> 4),
  amount: { amount, currency: from.currency },
});
const pendingOf = (body: Body, isShort: boolean): Body => ({
  ...body,
  type: 'pending',
  expiresInSeconds: isShort ? 1 : 3600,
});

async function deposit({ accountId, currency }: Customer, amount: number): Promise<Response> {
  const answer = await operator.api.post('/v1/deposits', { accountId, amount: { amount, currency } });
  if (answer.status === 201) said.transfers.set(uuidOf(answer.body.id), amount);
  return answer;
}

function noteTransfer(owner: Customer, { id, amount }: { id: string; amount: Body['amount'] }, body: Body): void {
  said.transfers.set(uuidOf(id), amount.amount);
  const { type, toAccountId, expiresInSeconds } = body;
  if (type === 'pending') said.pending.set(uuidOf(id), { id, owner, toAccountId, isShort: expiresInSeconds === 1 });
}

async function send(from: Customer, body: Body): Promise<Response> {
  const answer = await from.api.post('/v1/transfers', body);
  if (answer.status === 201) noteTransfer(from, answer.body, body);
  return answer;
}

async function batch(who: Customer, mode: string, to: readonly Customer[], amount: number): Promise<Response> {
  const bodies = to.map((one, n) => {
    const body = between(who, one, Math.ceil(amount / (n + 1)), amount + n);
    return n === 1 ? pendingOf(body, false) : body;
  });
  const answer = await who.api.post('/v1/transfers/batch', { mode, transfers: bodies });
  if (answer.status < 300)
    for (const [n, { transfer }] of (answer.body.data as { transfer: Body & { id: string } }[]).entries())
      if (transfer !== null) noteTransfer(who, transfer, bodies[n] as Body);
  return answer;
}

/** Any that has been made pending by now; by its owner, or an operator. */
async function settle(place: number, how: 'post' | 'void', amount: number | null): Promise<Response | null> {
  const pending = pickOf(said.pending, place);
  if (pending === undefined) return null;
  const { id, owner } = pending;
  const part = amount === null ? {} : { amount: { amount, currency: owner.currency } };
  const by = place % 2 ? owner : operator;
  const answer = await by.api.post(`/v1/transfers/${id}/${how}`, how === 'post' ? part : {});
  if (answer.status === 200)
    said.settlements.set(uuidOf(id), `${answer.body.status} ${answer.body.postedAmount?.amount ?? 0}`);
  return answer;
}

/** Any that has been made by now, of whatever kind. */
async function reverse(place: number, amount: number | null): Promise<Response | null> {
  const ids = [...said.transfers.keys()];
  const id = ids[place % ids.length];
  if (id === undefined) return null;
  const { currency } = (await operator.api.get(`/v1/transfers/${showId('tr', id)}`).expect(200)).body.amount;
  const part = amount === null ? {} : { amount: { amount, currency } };
  const answer = await operator.api.post(`/v1/transfers/${showId('tr', id)}/reversals`, part);
  if (answer.status === 201) said.transfers.set(uuidOf(answer.body.id), answer.body.amount.amount);
  return answer;
}

async function order(buyer: Customer, [one, other]: [Goods, Goods], quantity: number): Promise<Response> {
  const items = [{ skuId: one.id, quantity }, other.id];
  const answer = await buyer.api.post('/v1/orders', make.orderOf(buyer, items));
  if (answer.status === 201) {
    const { id, total, payment } = answer.body;
    said.orders.set(uuidOf(id), { total: total.amount, isCancelled: false });
    said.transfers.set(uuidOf(payment.transferId), total.amount);
  }
  return answer;
}

/** Any order that has been placed by now. */
async function cancel(place: number): Promise<Response | null> {
  const ids = [...said.orders.keys()];
  const id = ids[place % ids.length];
  if (id === undefined) return null;
  const answer = await operator.api.post(`/v1/orders/${showId('ord', id)}/cancel`, { reason: 'bank' });
  if (answer.status === 200) {
    const { total, refund } = answer.body;
    said.orders.set(id, { total: total.amount, isCancelled: true });
    said.transfers.set(uuidOf(refund.transferId), refund.amount.amount);
  }
  return answer;
}

async function adjust({ id }: Goods, quantity: number): Promise<Response> {
  const answer = await operator.api.post(`/v1/skus/${id}/stock-adjustments`, { quantity });
  if (answer.status === 201) said.movements.set(`${uuidOf(id)} ${answer.body.seq}`, quantity);
  return answer;
}

const edit = (accountId: string, patch: object) =>
  operator.api.patch(`/v1/accounts/${accountId}`, patch).set('if-match', '*');

/** For a moment. */
async function freeze(accountId: string): Promise<Response> {
  answers.push(await edit(accountId, { frozen: true, reason: 'bank' }));
  return edit(accountId, { frozen: false });
}

const limit = (who: Customer, place: number, amount: number | null): Promise<Response> => {
  const { currency } = who;
  const most = amount === null ? null : { amount: 20 * amount, currency };
  const patch = place % 2 ? { overdraftLimit: { amount: amount ?? 0, currency } } : { maxBalance: most };
  return edit(accountOf(who, place), patch).then((answer) => answer);
};

async function open(who: Customer): Promise<Response | null> {
  if (who.accounts.length >= mostAccounts) return null;
  const answer = await who.api.post('/v1/accounts', { currency: who.currency });
  if (answer.status === 201) who.accounts.push(answer.body.id);
  return answer;
}

/** What is on it goes to the first account, as far as nobody is quicker. */
async function close(who: Customer): Promise<Response | null> {
  const [first, ...others] = who.accounts as [string, ...string[]];
  const last = others.at(-1);
  if (last === undefined) return null;
  const { available } = (await who.api.get(`/v1/accounts/${last}`).expect(200)).body;
  if (available.amount > 0)
    answers.push(await send(who, { fromAccountId: last, toAccountId: first, amount: available }));
  const answer = await who.api.post(`/v1/accounts/${last}/close`, {}).set('if-match', '*');
  if (answer.status !== 200) return answer;
  said.closed.set(last, who);
  const place = who.accounts.indexOf(last);
  if (place > 0) who.accounts.splice(place, 1);
  return answer;
}

async function trialBalance(): Promise<Response> {
  const answer = await operator.api.get('/v1/ledger/trial-balance');
  trialBalances.push(answer.body);
  return answer;
}

const pickOf = <T>(from: ReadonlyMap<string, T>, place: number): T | undefined =>
  from.size === 0 ? undefined : [...from.values()][place % from.size];

const stored = async (sql: string): Promise<Map<string, number>> => {
  const rows = await service.database.query<{ id: string; n: string }>(sql);
  return new Map(rows.map(({ id, n }) => [id, Number(n)]));
};
const sorted = <T>(map: ReadonlyMap<string, T>): [string, T][] => [...map].sort(([a], [b]) => (a < b ? -1 : 1));

/** What was pending to accounts that were closed, with who closed them: it is given back, unless it had expired. */
function givenBack(resolved: ReadonlyMap<string, string>): Map<string, string> {
  const returned = new Map<string, string>();
  for (const [id, { toAccountId, isShort }] of said.pending) {
    const closer = said.closed.get(toAccountId);
    const isOpen = !said.settlements.has(id) && (!isShort || resolved.has(id));
    if (closer !== undefined && isOpen) returned.set(id, uuidOf(closer.id));
  }
  return returned;
}

describe(`operations in random order, ${width} in flight,`, () => {
  it(
    'are each done or refused in known words, and enough of every kind are done',
    seeded(() => {
      const counts = tally(answers);
      if (seconds > 0) process.stderr.write(`${JSON.stringify(counts)}\n${JSON.stringify([...kinds])}\n`);
      expect(Object.keys(counts).filter((answer) => !/^20[017]$/.test(answer) && !refusals.test(answer))).toEqual([]);
      expect([...kinds.values()].reduce((sum, { tried }) => sum + tried, 0)).toBeGreaterThanOrEqual(operations);
      expect(Object.keys(shares).filter((kind) => (kinds.get(kind)?.done ?? 0) === 0)).toEqual([]);
      expect(counts['201']).toBeGreaterThan(operations / 5);
      const cancelled = [...said.orders.values()].filter(({ isCancelled }) => isCancelled).length;
      expect(Math.min(said.orders.size, cancelled, said.movements.size)).toBeGreaterThan(operations / 100);
      expect(Math.min(said.settlements.size, said.closed.size)).toBeGreaterThan(0);
    }),
  );

  it(
    'leave books that add up: every account, every currency, every stock, every order',
    seeded(async () => expect(await findMistakes(service.database)).toEqual([])),
  );

  it(
    'find the trial balance at zero in every currency, whenever it is asked for meanwhile',
    seeded(() => {
      const sums = trialBalances.flatMap(({ balanced, currencies: all }) => [
        balanced,
        ...all.map(({ balances }) => balances),
      ]);
      expect(trialBalances.length).toBeGreaterThan(0);
      expect(new Set(sums)).toEqual(new Set([true, '0']));
    }),
  );

  it(
    'are sealed by a chain that fits',
    seeded(async () => {
      const chain = service.app.get(ChainService);
      // A transaction in another database of the server holds the last ones up as well.
      const verified = await eventually(
        async () => {
          await chain.seal();
          return chain.verify();
        },
        ({ fault, unsealed }) => fault !== null || unsealed === 0n,
        60_000,
      );
      expect(verified.fault).toBeNull();
      const [row] = await service.database.query<{ n: string }>(
        'SELECT (SELECT count(*) FROM transfer) + (SELECT count(*) FROM settlement) AS n',
      );
      expect(verified.head.seq).toBe(BigInt(row!.n));
    }),
    120_000,
  );

  it(
    'are in the database as they were acknowledged, and nothing else is',
    seeded(async () => {
      expect(sorted(await stored('SELECT id::text, amount AS n FROM transfer'))).toEqual(sorted(said.transfers));
      const settled = await service.database.query<{ id: string; what: string; by: string | null }>(
        `SELECT transfer_id::text AS id, outcome || ' ' || coalesce(amount, 0) AS what, created_by_id::text AS by FROM settlement`,
      );
      const isExpired = ({ what }: { what: string }): boolean => what === 'expired 0';
      const resolved = new Map(settled.filter((row) => !isExpired(row)).map(({ id, what }) => [id, what]));
      const returned = givenBack(resolved);
      const voided = [...returned.keys()].map((id) => [id, 'voided 0'] as const);
      expect(sorted(resolved)).toEqual(sorted(new Map([...said.settlements, ...voided])));
      const closers = settled.filter(({ id }) => returned.has(id)).map(({ id, by }) => [id, by] as const);
      expect(sorted(new Map(closers))).toEqual(sorted(returned));
      for (const { id } of settled.filter(isExpired)) expect([id, said.pending.get(id)?.isShort]).toEqual([id, true]);
      const orders = new Map(
        [...said.orders].map(([id, { total, isCancelled }]) => [id, isCancelled ? -total : total]),
      );
      const cancelledIsNegative = `SELECT id::text, CASE status WHEN 'placed' THEN total ELSE -total END AS n FROM "order"`;
      expect(sorted(await stored(cancelledIsNegative))).toEqual(sorted(orders));
      const byHand = `SELECT sku_id || ' ' || seq AS id, quantity AS n FROM stock_movement WHERE reason = 'adjusted'`;
      expect(sorted(await stored(byHand))).toEqual(sorted(said.movements));
      const closed = await stored('SELECT id::text, 0 AS n FROM account WHERE closed_at IS NOT NULL');
      expect([...closed.keys()].sort()).toEqual([...said.closed.keys()].map(uuidOf).sort());
    }),
    120_000,
  );

  it(
    'are what the service shows afterwards',
    seeded(async () => {
      const balances = await stored('SELECT id::text, balance AS n FROM account WHERE user_id IS NOT NULL');
      for (const { api, accounts } of customers)
        for (const id of accounts)
          expect((await api.get(`/v1/accounts/${id}`).expect(200)).body.balance.amount).toBe(balances.get(uuidOf(id)));
    }),
  );
});
