// A customer's journey through the client that a public generator makes of the OpenAPI document; compiled and run by generated-client.test.ts.
// Arguments: URL of the service, access token of an operator.
import { randomUUID } from 'node:crypto';
import {
  addProduct,
  cancelOrder,
  deposit,
  editUser,
  getAccount,
  getMe,
  getOrder,
  listEntries,
  listOrders,
  logIn,
  placeOrder,
  signUp,
  transfer,
} from './generated/index.js';
import { client } from './generated/client.gen.js';

const [baseUrl = '', operatorToken = ''] = process.argv.slice(2);
const credentials = { email: 'client@example.com', password: 'correct horse battery' };
const eur = (amount: number) => ({ amount, currency: 'EUR' as const });
const once = () => ({ 'Idempotency-Key': randomUUID() });
let token = operatorToken;
client.setConfig({ baseUrl, auth: () => token });

const shelf = await addProduct({
  throwOnError: true,
  body: {
    slug: 'client-mug',
    name: 'Mug',
    skus: [{ code: 'CLIENT-MUG', name: 'Blue', price: eur(1299), onHand: 3 }],
  },
});
const skuId = shelf.data.skus[0]?.id ?? '';
const user = await signUp({ throwOnError: true, body: { ...credentials, profile: { displayName: 'Client' } } });
const friend = await signUp({
  throwOnError: true,
  body: { ...credentials, email: 'friend@example.com', profile: { displayName: 'Friend' } },
});
const accountId = user.data.accounts[0]?.id ?? '';
const friendsId = friend.data.accounts[0]?.id ?? '';
await deposit({ throwOnError: true, headers: once(), body: { accountId, amount: eur(5000) } });

const session = await logIn({ throwOnError: true, body: credentials });
token = session.data.accessToken;

// An error has its type as well.
const refused = await transfer({
  headers: once(),
  body: { fromAccountId: accountId, toAccountId: friendsId, amount: eur(999_999) },
});
const codes = [refused.error?.code, refused.error?.retryable, refused.response?.status];

const headers = once();
const order = { items: [{ skuId, quantity: 2 }], payment: { accountId }, expectedTotal: eur(2598) };
const placed = await placeOrder({ throwOnError: true, headers, body: order });
const again = await placeOrder({ throwOnError: true, headers, body: order });

const me = await getMe({ throwOnError: true });
const etag = me.response.headers.get('etag') ?? '';
const edited = await editUser({
  throwOnError: true,
  path: { id: me.data.id },
  headers: { 'If-Match': etag },
  body: { profile: { displayName: 'Renamed' } },
});
const stale = await editUser({ path: { id: me.data.id }, headers: { 'If-Match': etag }, body: { profile: {} } });

const mine = await listOrders({ throwOnError: true, query: { limit: 10, status: 'placed' } });
await cancelOrder({ throwOnError: true, headers: once(), path: { id: placed.data.id }, body: { reason: 'Enough' } });
const cancelled = await getOrder({ throwOnError: true, path: { id: placed.data.id } });

const moved: number[] = [];
for (let cursor: string | null | undefined; cursor !== null;) {
  const page = await listEntries({
    throwOnError: true,
    path: { id: accountId },
    query: { limit: 1, ...(cursor !== undefined && { cursor }) },
  });
  moved.push(...page.data.data.map(({ amount }) => amount.amount));
  cursor = page.data.nextCursor;
}
const account = await getAccount({ throwOnError: true, path: { id: accountId } });

process.stdout.write(
  JSON.stringify({
    codes,
    isReplayed: [again.data.id === placed.data.id, again.response.headers.get('idempotent-replayed')],
    name: edited.data.profile.displayName,
    stale: stale.error?.code,
    listed: mine.data.data.map(({ id }) => id === placed.data.id),
    status: cancelled.data.status,
    moved,
    balance: account.data.balance,
  }),
);
