/** @servers any */
import { startApp, type TestApp } from './support/app.ts';
import { bodyWith, type Container, containersOf } from './support/containers.ts';
import { makers, type Person } from './support/make.ts';
import { expectProblem } from './support/problem.ts';
import { allRoutes, type Route, takesLongBody } from './support/routes.ts';

interface Product {
  readonly id: string;
  readonly skus: readonly { readonly id: string }[];
}
interface Parameter {
  readonly name: string;
  readonly schema: { readonly items: { readonly enum?: readonly string[]; readonly const?: string } };
}
type Operations = Readonly<Record<string, { readonly get?: { readonly parameters: readonly Parameter[] } }>>;

// Of the processor, for the service and this client together, in the best of a few tries: what else the machine does can make one of them
// dear, and not all. Read whole, such a body took seconds each time.
const mostProcessorMs = 1000;
const tries = 4;
const mostAnswerBytes = 786_432;

let service: TestApp;
let routes: Route[];
let document: Readonly<Record<string, unknown>>;
let ada: Person;
let operator: Person;
let products: Product[];
let orderIds: string[];
beforeAll(async () => {
  service = await startApp();
  const make = makers(service);
  routes = await allRoutes(service);
  document = (await service.as().get('/openapi.json').expect(200)).body;
  [ada, operator] = [await make.user({ balance: 1_000_000 }), await make.operator()];
  [products, orderIds] = [[], []];
  for (let n = 0; n < 12; n++) products.push(await addLargest(n));
  for (let n = 0; n < 12; n++) orderIds.push(await orderLargest(n));
});
afterAll(() => service.close());

const eur = (amount: number) => ({ amount, currency: 'EUR' });

async function addLargest(n: number): Promise<Product> {
  const skus = Array.from({ length: 50 }, (_, i) => ({
    code: `LARGE-${n}-${i}`,
    name: 'n'.repeat(200),
    price: eur(1),
    onHand: 1000,
  }));
  const url = 'https://images.example.com/';
  const images = Array.from({ length: 20 }, () => ({ url: url.padEnd(2000, 'x'), alt: 'a'.repeat(500) }));
  const product = { slug: `large-${n}`, name: 'p'.repeat(200), description: 'd'.repeat(5000), skus, images };
  return (await operator.api.post('/v1/products', product).expect(201)).body;
}

async function orderLargest(n: number): Promise<string> {
  const skus = [...products[n % 12]!.skus, ...products[(n + 1) % 12]!.skus];
  const items = skus.map(({ id }) => ({ skuId: id, quantity: 1 }));
  const order = { items, payment: { accountId: ada.accountId }, note: 'o'.repeat(500) };
  return (await ada.api.post('/v1/orders', order).expect(201)).body.id as string;
}

async function isCostly(work: () => Promise<void>): Promise<boolean> {
  for (let n = 0; n < tries; n++) {
    const begin = process.cpuUsage();
    await work();
    const { user, system } = process.cpuUsage(begin);
    if (user + system < mostProcessorMs * 1000) return false;
  }
  return true;
}

describe('a body that is filled to its limit with what is cheapest to send', () => {
  const cheapest = ['{}', '0', '[]', 'null', '""', '[{}]'];

  function fillings({ type }: Container, bytes: number): string[] {
    if (type === 'array')
      return cheapest.map((one) => `[${`${one},`.repeat(Math.floor(bytes / (one.length + 1)) - 1)}${one}]`);
    const members: string[] = [];
    for (let length = 0, n = 0; length < bytes - 20; n++) {
      members.push(`"${n.toString(36)}":0`);
      length += members.at(-1)!.length + 1;
    }
    return [`{${members.join(',')}}`];
  }

  it('is refused before its elements are looked at, in every array and object of every route', async () => {
    let tried = 0;
    const costly: string[] = [];
    for (const route of routes.filter(({ body }) => body !== undefined)) {
      const [, template = ''] = route.name.split(' ');
      const limit = takesLongBody(service, route) ? 1_040_000 : 15_000;
      for (const container of containersOf(document, route.method, template))
        for (const filling of fillings(container, limit - 1000)) {
          const text = bodyWith(route.body, container.path, filling);
          if (await isCostly(() => refused(route, text))) costly.push(`${route.name} ${container.path.join('/')}`);
          tried++;
        }
    }
    expect(costly).toEqual([]);
    expect(tried).toBeGreaterThan(60);
  });

  it('may hold 32,768 values, and no more', async () => {
    const of = (values: number) => `{"surprise":[${Array.from({ length: values - 2 }, () => 0).join(',')}]}`;
    const codeOf = async ({ method, path, caller }: Route, text: string): Promise<unknown> =>
      (
        await caller.api[method](path, {})
          .set('if-match', '*')
          .set('content-type', 'application/json')
          .send(undefined)
          .send(text)
      ).body.code;
    const long = routes.filter((route) => route.body !== undefined && takesLongBody(service, route));
    expect(long.length).toBeGreaterThan(2);
    for (const route of long)
      expect([route.name, await codeOf(route, of(32_768)), await codeOf(route, of(32_769))]).toEqual([
        route.name,
        'validation-failed',
        'too-many-values',
      ]);
  });

  async function refused({ method, path, caller }: Route, text: string): Promise<void> {
    const request = caller.api[method](path, {}).set('if-match', '*').set('content-type', 'application/json');
    const response = await request.send(undefined).send(text);
    expect([400, 422]).toContain(response.status);
    expect(['too-many-values', 'batch-too-large', 'validation-failed']).toContain(response.body.code);
    expect(response.body.errors?.length ?? 0).toBeLessThanOrEqual(100);
  }
});

describe('the largest data that people may store', () => {
  const bytesOf = ({ text }: { text?: string }): number => Buffer.byteLength(text ?? '');

  /** Each GET with what is largest, as long as it may be, without `expand` and with each that there is. */
  function asked(): string[] {
    const product = products[0]!;
    const ids: Record<string, string> = {
      '/v1/products/{id}': product.id,
      '/v1/skus/{id}': product.skus[0]!.id,
      '/v1/skus/{id}/stock': product.skus[0]!.id,
      '/v1/orders/{id}': orderIds[0]!,
      '/v1/users/{id}': ada.id,
      '/v1/accounts/{id}': ada.accountId,
      '/v1/accounts/{id}/entries': ada.accountId,
    };
    const known = Object.entries(document['paths'] as Operations).filter(
      ([path, { get }]) => get !== undefined && (!path.includes('{id}') || path in ids),
    );
    return known.flatMap(([path, { get }]) => {
      const { parameters } = get!;
      const named = (name: string) => parameters.find((one) => one.name === name);
      const limit = named('limit') === undefined ? '' : 'limit=100';
      const { enum: several, const: one } = named('expand')?.schema.items ?? {};
      const expands = several ?? (one === undefined ? [] : [one]);
      const queries = [limit, ...expands.map((name) => `${limit}&expand=${name}`)];
      return queries.map((query) => `${path.replace('{id}', ids[path] ?? '')}?${query}`);
    });
  }

  it('makes no answer that is long, whatever is asked for and expanded', async () => {
    const [statuses, long] = [new Map<number, string[]>(), [] as string[]];
    for (const path of asked())
      for (const reader of [ada, operator]) {
        const response = await reader.api.get(path);
        statuses.set(response.status, [...(statuses.get(response.status) ?? []), path]);
        if (response.status === 422) expectProblem(response, 'too-much-to-expand');
        if (bytesOf(response) > mostAnswerBytes) long.push(`${path}: ${bytesOf(response)}`);
      }
    expect(long).toEqual([]);
    expect([...statuses.keys()].filter((status) => ![200, 403, 404, 422].includes(status))).toEqual([]);
    expect(statuses.get(200)!.length).toBeGreaterThan(40);
    expect(new Set(statuses.get(422))).toEqual(
      new Set(['/v1/orders?limit=100&expand=items.sku.product', `/v1/orders/${orderIds[0]}?&expand=items.sku.product`]),
    );
  });

  it('is shown whole in pages that end early', async () => {
    for (const [path, all] of [
      ['/v1/products?expand=skus', products.map(({ id }) => id)],
      ['/v1/orders?', orderIds],
    ] as [string, string[]][]) {
      const seen = new Set<string>();
      let pages = 0;
      for (let next: string | null = `${path}&limit=100`; next !== null; pages++) {
        const { body } = (await ada.api.get(next).expect(200)) as {
          body: { data: { id: string }[]; hasMore: boolean; nextCursor: string | null };
        };
        expect(body.data.length).toBeGreaterThan(0);
        for (const { id } of body.data) seen.add(id);
        expect(body.hasMore).toBe(body.nextCursor !== null);
        next = body.hasMore ? `${path}&limit=100&cursor=${body.nextCursor}` : null;
      }
      expect(all.filter((id) => !seen.has(id))).toEqual([]);
      expect(pages).toBeGreaterThan(1);
    }
  });
});
