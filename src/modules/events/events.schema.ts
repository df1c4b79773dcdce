import { z } from 'zod';
import { CloudEventView } from '../../events/event-view.ts';
import { eventTypeOf, typeName } from '../../events/event-type.ts';
import { pageOf, pageQuery } from '../../http/pages/page.ts';
import { idIn, idOut, instant } from '../../http/schemas.ts';
import { readId } from '../../kernel/ids.ts';

export const EventId = idIn('evt');

const mostTypes = 20;
const separated = (given: unknown): unknown =>
  typeof given === 'string' || (Array.isArray(given) && given.every((one) => typeof one === 'string'))
    ? [given].flat().flatMap((names) => names.split(','))
    : given;

const types = z
  .preprocess(
    separated,
    z
      .array(
        z
          .string()
          .max(100)
          .regex(typeName)
          // What cannot happen would be waited for in vain.
          .refine((type) => eventTypeOf(type) !== undefined, 'must be a type of events'),
      )
      .max(mostTypes),
  )
  .optional()
  .meta({
    description: 'Only events of these types; separated by commas or one by one',
    examples: [['order.placed', 'order.cancelled']],
  });

const subject = z
  .string()
  .regex(/^[a-z]{2,16}_[0-7][0-9a-hjkmnp-tv-z]{25}$/, 'must be an id: a prefix, _ and 26 characters')
  .meta({ description: 'Only what happened to this thing', examples: ['ord_01h455vb4pex5vsknk084sn02q'] })
  .transform(readId);

export const FeedQuery = z.strictObject({
  ...pageQuery,
  from: z
    .enum(['beginning', 'now'])
    .default('beginning')
    .meta({ description: 'Where to begin without a cursor: at the first event there is, or behind the last' }),
  type: types,
  subject: subject.optional(),
});
export type FeedQuery = z.infer<typeof FeedQuery>;

export const FeedView = z
  .object({
    object: z.literal('list').default('list'),
    data: z.array(CloudEventView).meta({ description: 'Events, oldest first' }),
    hasMore: z
      .boolean()
      .meta({ description: 'Whether to ask on at once; else there is nothing new by now', examples: [false] }),
    nextCursor: z.string().meta({
      description: 'Pass it as cursor: there is always one, also where nothing has happened',
      examples: ['q2hhbmdlIG1lIG5vdA'],
    }),
  })
  .meta({ id: 'EventFeed', description: 'What happened since the cursor, oldest first' });

export const EventDeliveryView = z
  .object({
    object: z.literal('event_delivery').default('event_delivery'),
    eventId: idOut('evt'),
    type: z.string().meta({ description: 'Of the event', examples: ['order.placed'] }),
    consumer: z.string().meta({ description: 'Who is to act on it', examples: ['Receipts.send'] }),
    attempts: z.int().meta({ description: 'How often it was taken on', examples: [15] }),
    dueAt: instant
      .nullable()
      .meta({ description: 'When it is taken on next, or again if that fails; null where it was given up' }),
    givenUpAt: instant.nullable().meta({ description: 'When it was given up; null while it is tried' }),
    lastError: z
      .string()
      .nullable()
      .meta({ description: 'By what name the last attempt has failed', examples: ['temporary-reduced-capacity'] }),
    createdAt: instant,
  })
  .meta({ id: 'EventDelivery', description: 'An event that a consumer has not done' });

export const EventDeliveriesView = z
  .object({
    object: z.literal('event_deliveries').default('event_deliveries'),
    data: z.array(EventDeliveryView).meta({ description: 'One for each consumer that has not done it' }),
  })
  .meta({ id: 'EventDeliveries', description: 'Who has not done an event' });

export const GivenUpQuery = z.strictObject({
  ...pageQuery,
  state: z.literal('dead').default('dead').meta({ description: 'Only what was given up is listed' }),
});
export type GivenUpQuery = z.infer<typeof GivenUpQuery>;
export const GivenUpPage = pageOf(EventDeliveryView).meta({
  id: 'EventDeliveryPage',
  description: 'What was given up, of the newest events first',
});

export const NewRedelivery = z
  .strictObject({
    consumer: z
      .string()
      .max(200)
      .regex(/^[\x21-\x7e]+$/)
      .nullish()
      .meta({
        description: 'Who acts on it again, also where it was done; without it, whoever has not done it',
        examples: ['Receipts.send'],
      }),
  })
  .meta({ id: 'NewRedelivery' });
export type NewRedelivery = z.infer<typeof NewRedelivery>;

export const RedeliveryView = z
  .object({
    object: z.literal('event_redelivery').default('event_redelivery'),
    eventId: idOut('evt'),
    consumers: z
      .array(z.string())
      .meta({ description: 'Who is to act on the event again', examples: [['Receipts.send']] }),
  })
  .meta({ id: 'EventRedelivery', description: 'Who is to act on an event again; it is done soon after' });
