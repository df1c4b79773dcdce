import { type z } from 'zod';
import { newId, type Prefix } from '../kernel/ids.ts';
import { MisuseError } from '../kernel/loggable-error.ts';

/** What a module says of a type of its events. */
interface EventDefinition<Data extends z.ZodObject> {
  /** What happened, as `thing.participle`: `order.placed`. */
  readonly type: string;
  /** Of the schema of its data; a change that its readers must know of counts it up. */
  readonly version?: number;
  /** One sentence for readers of the API. */
  readonly meaning: string;
  /** Prefix of the ids of the thing that it happens to. */
  readonly subject: Prefix;
  /** Ids and amounts by which more can be looked up; nothing personal. As it crosses the wire: `idOut`, `MoneyOut`, `instant`. */
  readonly data: Data;
}

/** What happened, and to what. Ids are UUIDs. */
export interface Happening<Data extends z.ZodObject> {
  readonly subject: string;
  /** The user who may read it beside operators; left out: operators alone. */
  readonly owner?: string | null;
  /** Another user who may read it. */
  readonly counterparty?: string | null;
  readonly data: z.input<Data>;
}

/** An event that is to be stored. */
export interface NewEvent {
  readonly id: string;
  readonly type: string;
  readonly version: number;
  readonly subjectId: string;
  readonly ownerId: string | null;
  readonly counterpartyId: string | null;
  readonly data: object;
}

/** A type of events: called with what happened, it makes the event that {@link Events.record} stores. */
export interface EventType<Data extends z.ZodObject = z.ZodObject> extends Required<EventDefinition<Data>> {
  (happening: Happening<Data>): NewEvent;
}

/** An event as it was stored. */
export interface RecordedEvent<Data extends z.ZodObject = z.ZodObject> {
  readonly position: bigint;
  readonly id: string;
  readonly type: string;
  readonly version: number;
  readonly subjectId: string;
  readonly ownerId: string | null;
  readonly counterpartyId: string | null;
  /** As it crosses the wire. */
  readonly data: z.output<Data>;
  readonly createdAt: Date;
}

/** The event that a method of a consumer is called with: `EventOf<typeof orderPlaced>`. */
export type EventOf<T> = T extends EventType<infer Data> ? RecordedEvent<Data> : never;

// Like the registry of zod: what is defined is known for as long as the process lives.
const types = new Map<string, EventType>();

/** What the name of a type looks like. */
export const typeName = /^[a-z]+(-[a-z]+)*(\.[a-z]+(-[a-z]+)*)+$/;

/** Defines a type of events. Throws MisuseError where its name is defined already, or is not of the form `thing.participle`. */
export function defineEvent<Data extends z.ZodObject>(definition: EventDefinition<Data>): EventType<Data> {
  const { type, version = 1 } = definition;
  if (!typeName.test(type)) throw new MisuseError(`${type} is no type of events: small letters, as in order.placed.`);
  if (types.has(type)) throw new MisuseError(`The type of events ${type} is defined twice.`);
  const make = ({ subject, owner = null, counterparty = null, data }: Happening<Data>): NewEvent => ({
    id: newId(),
    type,
    version,
    subjectId: subject,
    ownerId: owner,
    // The same person reads it once.
    counterpartyId: counterparty === owner ? null : counterparty,
    data: definition.data.parse(data),
  });
  const defined = Object.assign(make, { ...definition, version });
  types.set(type, defined);
  return defined;
}

/** The type of this name; undefined for one that nobody defined, or an earlier release. */
export const eventTypeOf = (type: string): EventType | undefined => types.get(type);

/** Every type of the modules that have been loaded, by name. */
export const eventTypes = (): EventType[] => [...types.values()].sort((a, b) => (a.type < b.type ? -1 : 1));
