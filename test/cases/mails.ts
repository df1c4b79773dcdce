import { newId } from '../../src/kernel/ids.ts';
import { MailsService } from '../../src/modules/mails/mails.service.ts';
import { Transactions } from '../../src/transactions/transactions.ts';
import type { Cases, World } from '../support/cases.ts';
import { uuidOf } from '../support/make.ts';

const mail = ({ alice }: World, columns: string, values: string) =>
  Promise.resolve({
    statements: [
      `INSERT INTO mail (id, kind, user_id, expires_at, ${columns}) VALUES ('${newId()}', 'test', '${uuidOf(alice.id)}', now() + interval '1 day', ${values})`,
    ],
  });
const broken = (columns: string, values: string) => (world: World) => mail(world, columns, values);

const enqueue = ({ service, alice }: World) =>
  service.app.get(MailsService).enqueue({ kind: 'test', userId: uuidOf(alice.id), eventId: null, data: {} });

// What the tests that go over all modules cannot derive of this one (test/support/cases.ts).
export const cases: Cases = {
  memory: { 'modules/mails/mail-kind.ts kinds': 'the kinds of mail of the program' },
  rights: { mail: 'INSERT, UPDATE, DELETE' },
  alone: { 'MailsService.enqueue': enqueue },
  boundaries: {
    'MailsService.enqueue': {
      last: 'INSERT mail',
      call: async (world) => () =>
        world.service.app
          .get(Transactions)
          .run({ name: 'Shop.sell' }, () => enqueue(world))
          .then(
            () => ({ status: 200, body: {} }),
            () => ({ status: 500, body: { code: 'internal-error' } }),
          ),
    },
  },
  rules: {
    mail_is_due_sent_or_dead: broken('data', `'{}'`),
    mail_lease_ends: broken('data, sent_at, lease', `'{}', now(), gen_random_uuid()`),
    mail_is_given_up_for_a_reason: broken('data, dead_at', `'{}', now()`),
    mail_keeps_nothing_once_it_was_sent: broken('data, sent_at', `'{"orderId": "1"}', now()`),
    mail_data_is_an_object: broken('data, due_at', `'[]', now()`),
    mail_attempts_count_from_zero: broken('data, due_at, attempts', `'{}', now(), -1`),
    mail_expires_later: broken('data, due_at, created_at', `'{}', now(), now() + interval '2 days'`),
    mail_event_id_kind_key: ({ alice }) =>
      Promise.resolve({
        statements: [
          `INSERT INTO mail (id, kind, user_id, event_id, data, due_at, expires_at)
           SELECT gen_random_uuid(), 'test', '${uuidOf(alice.id)}', '${newId()}', '{}', now(), now() + interval '1 day' FROM generate_series(1, 2)`,
        ],
      }),
  },
};
