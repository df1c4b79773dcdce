/** @servers any */
import { randomUUID } from 'node:crypto';
import { readId } from '../src/kernel/ids.ts';
import { type Api, readAll, startApp, type TestApp } from './support/app.ts';
import { fullCount } from './support/counts.ts';
import { makers, type Person, uuidOf } from './support/make.ts';
import { randomFrom } from './support/random.ts';

let service: TestApp;
let ada: Person;
beforeAll(async () => {
  // What the owner of the tables does here, the service has not done: it cannot know what a replica must have seen.
  service = await startApp({ DATABASE_READ_CONSISTENCY: 'primary' });
  ada = await makers(service).user();
});
afterAll(() => service.close());

/** A list whose rows come and go by hand, anywhere in its order: their ids are of any time. */
interface Table {
  readonly path: string;
  readonly api: () => Api;
  readonly isNewestFirst: boolean;
  /** Adds a row for each id. */
  readonly add: (ids: readonly string[]) => Promise<unknown>;
  readonly remove: (ids: readonly string[]) => Promise<unknown>;
  readonly clear: () => Promise<unknown>;
}

const query = (sql: string, ...values: unknown[]) => service.database.query(sql, values);

const tables: Record<string, Table> = {
  products: {
    path: '/v1/products',
    api: () => service.as(),
    isNewestFirst: true,
    add: (ids) => query('INSERT INTO product (id, slug, name) SELECT id, id, id FROM unnest($1::uuid[]) id', ids),
    remove: (ids) => query('DELETE FROM product WHERE id = ANY ($1)', ids),
    clear: () => query('DELETE FROM product'),
  },
  accounts: {
    path: '/v1/accounts',
    api: () => ada.api,
    isNewestFirst: false,
    add: (ids) =>
      query(
        `INSERT INTO account (id, user_id, currency) SELECT id, $2, 'EUR' FROM unnest($1::uuid[]) id`,
        ids,
        uuidOf(ada.id),
      ),
    remove: (ids) => query('DELETE FROM account WHERE id = ANY ($1)', ids),
    clear: () => query('DELETE FROM account WHERE user_id = $1', uuidOf(ada.id)),
  },
};

const programs = fullCount(200, 5000);

it.each(Object.keys(tables))(
  'a page of %s skips no row that was there the whole time and repeats none, while others come and go',
  async (name) => {
    const table = tables[name] as Table;
    let changed = 0;
    for (let seed = 1; seed <= programs; seed++) {
      const { whole, pick } = randomFrom(seed);
      const ids = (most: number) => Array.from({ length: whole(0, most) }, () => randomUUID() as string);
      await table.clear();
      const there = new Set(ids(14));
      await table.add([...there]);
      const stayed = new Set(there);

      const seen: string[] = [];
      await readAll<{ id: string }>(table.api(), table.path, whole(1, 5), async () => {
        const [added, removed] = [ids(2), [...there].filter(() => whole(1, 5) === 1)];
        if (there.size > 0 && whole(1, 3) === 1) removed.push(pick([...there]));
        for (const id of added) there.add(id);
        for (const id of removed) {
          there.delete(id);
          stayed.delete(id);
        }
        await table.add(added);
        await table.remove(removed);
        changed += added.length + removed.length;
      }).then((rows) => seen.push(...rows.map(({ id }) => readId(id))));

      const place = `${name}, program ${seed}`;
      expect([place, new Set(seen).size]).toEqual([place, seen.length]);
      expect([place, [...stayed].filter((id) => !seen.includes(id))]).toEqual([place, []]);
      const inOrder = seen.toSorted();
      expect(seen).toEqual(table.isNewestFirst ? inOrder.reverse() : inOrder);
    }
    expect(changed).toBeGreaterThan(programs);
  },
);
