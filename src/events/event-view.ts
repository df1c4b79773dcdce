import { z } from 'zod';
import { idOut } from '../http/schemas.ts';
import { defineIdKinds, idPattern } from '../kernel/ids.ts';
import type { EventType } from './event-type.ts';

export const eventIds = defineIdKinds({ evt: 'event' });
declare module '../kernel/ids.ts' {
  interface IdKinds extends Readonly<typeof eventIds> {}
}

// What `cloudEventOf` makes, beside its data.
const attributes = {
  specversion: z.literal('1.0').meta({ description: 'The version of CloudEvents' }),
  id: z
    .string()
    .regex(idPattern('evt'))
    .meta({
      description: 'Id of an event: of the same event always the same',
      examples: ['evt_01h455vb4pex5vsknk084sn02q'],
    }),
  source: z.literal('/v1/events').meta({ description: 'Where events are read' }),
  type: z.string().meta({ description: 'What happened', examples: ['order.placed'] }),
  subject: z
    .string()
    .meta({ description: 'Id of the thing that it happened to', examples: ['ord_01h455vb4pex5vsknk084sn02q'] }),
  time: z.iso.datetime().meta({
    description: 'When it was stored. RFC 3339, UTC',
    examples: ['2026-11-21T09:30:00.000Z'],
  }),
  datacontenttype: z.literal('application/json').meta({ description: 'What `data` is' }),
  dataschema: z
    .string()
    .optional()
    .meta({
      description: 'The schema of `data`; left out where an earlier release has stored the event with another one',
      examples: ['/openapi.json#/components/schemas/OrderPlacedData'],
    }),
  dataversion: z.int().meta({ description: 'Version of the schema of `data`', examples: [1] }),
};

/** An event of any type, as it crosses the wire. */
export const CloudEventView = z
  .object({
    ...attributes,
    data: z.record(z.string(), z.unknown()).meta({
      description: 'By its type, see `webhooks`',
      examples: [{ orderId: 'ord_01h455vb4pex5vsknk084sn02q' }],
    }),
  })
  .meta({ id: 'Event', description: 'Something that happened, as CloudEvents 1.0 writes it' });

/** An event of this type, as it crosses the wire. */
export const viewOfType = (type: EventType) =>
  z
    .object({
      ...attributes,
      type: z.literal(type.type),
      subject: idOut(type.subject),
      dataschema: z.literal(schemaOf(type)),
      data: type.data.meta({ id: dataName(type), description: `What an event of the type ${type.type} holds` }),
    })
    .meta({ id: `${nameOf(type)}Event`, description: type.meaning });

/** `order.placed` becomes `OrderPlaced`. */
export const nameOf = ({ type }: EventType): string =>
  type.replaceAll(/(?:^|[.-])([a-z])/g, (_, letter: string) => letter.toUpperCase());

// A type whose data has another schema than at first says so by its name.
const dataName = (type: EventType): string => `${nameOf(type)}Data${type.version > 1 ? `V${type.version}` : ''}`;
/** Where the schema of its data is found. */
export const schemaOf = (type: EventType): string => `/openapi.json#/components/schemas/${dataName(type)}`;
