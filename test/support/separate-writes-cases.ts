/** Texts for the lint rule no-separate-writes; `shop` makes a service of members, see lint-transactions.test.ts. */
export function separateWritesCases(shop: (members: string, head?: string) => string) {
  const method = (body: string): string => shop(`async work(id: string, ids: string[]) { ${body} }`);
  const cancel = 'await this.orders.cancel(id);';
  const run = `await this.transactions.run({}, () => this.orders.cancel(id));`;
  const allow = "import { allowSeparateWrites } from '../../transactions/unit-of-work.ts';";
  return {
    invalid: {
      'two writes of repositories': method(`${cancel} ${cancel}`),
      'a write whose promise is awaited later': method(`const first = this.orders.cancel(id); ${cancel} await first;`),
      'two writes at once': method('await Promise.all([this.orders.cancel(id), this.orders.cancel(id)]);'),
      'a write beside a boundary': method(`${cancel} ${run}`),
      'a write beside a bounded method': method(`${cancel} await this.apart(id);`),
      'two bounded methods in turn': method('await this.tryOne(id); await this.apart(id);'),
      'two boundaries in turn': method(`${run} ${run}`),
      'a loop of writes': method(`for (const one of ids) await this.orders.cancel(one);`),
      'a loop of boundaries': method(`for (const one of ids) await this.tryOne(one);`),
      'a boundary for each of a list': method('await Promise.all(ids.map((one) => this.tryOne(one)));'),
      'what finds or makes, and a write': method(
        `const order = await this.orders.findOrCreate(id); ${cancel} return order;`,
      ),
      'a write in a method of the class, and one more': shop(
        `async work(id: string) { await this.begin(id); ${cancel} } private async begin(id: string) { ${cancel} }`,
      ),
      'a write before a branch that writes': method(`${cancel} if (id) { ${cancel} }`),
      'a write in a try, and one after it': method(`try { ${cancel} } catch { return; } ${cancel}`),
      'two writes of not-supported': shop(
        `@Transactional({ propagation: 'not-supported' }) async work(id: string) { ${cancel} ${cancel} }`,
      ),
    },
    valid: {
      'one write': method(cancel),
      'reads and a write': method(`await this.orders.find(id); await this.orders.list(ids); ${cancel}`),
      'a write in each branch': method(`if (id) ${cancel} else ${cancel}`),
      'a write in a branch that returns': method(`if (id) { ${cancel} return; } ${cancel}`),
      'a write in each case': method(`switch (id) { case '': ${cancel} break; default: ${cancel} }`),
      'a loop that ends with its write': method(
        `for (const one of ids) { if (one) { return this.orders.cancel(one); } }`,
      ),
      'another write when the first has failed': method(`try { ${cancel} } catch { ${cancel} }`),
      'two writes in a boundary': method(`await this.transactions.run({}, async () => { ${cancel} ${cancel} });`),
      'two writes of a bounded method': shop(`@Transactional() async work(id: string) { ${cancel} ${cancel} }`),
      'two writes of what demands a boundary': shop(
        `@Transactional({ propagation: 'mandatory' }) async work(id: string) { ${cancel} ${cancel} }`,
      ),
      'two writes of a method for a bounded one': shop(
        `@Transactional() async work(id: string) { await this.both(id); } private async both(id: string) { ${cancel} ${cancel} }`,
      ),
      'a boundary that only reads, and a write': method(
        `await this.transactions.run({ readOnly: true }, () => this.orders.find(id)); ${cancel}`,
      ),
      'what is done after the commit': method(`${cancel} afterCommit(() => this.orders.cancel(id));`),
      'a method of another service that draws no boundary': method(`await this.service.get(id); ${cancel}`),
      'writes that are meant to be separate': shop(
        `async work(id: string) { ${cancel} await allowSeparateWrites('a reason', () => this.orders.cancel(id)); }`,
        allow,
      ),
      'a repository, whose caller draws the boundary': shop('').replace(
        'declare class OrdersService',
        `class LinesRepository { constructor(readonly orders: OrdersRepository) {} async both(id: string) { ${cancel} ${cancel} } }
new LinesRepository(null as never);
declare class OrdersService`,
      ),
    },
  };
}
