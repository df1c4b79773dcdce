import 'reflect-metadata';
import { MisuseError } from '../kernel/loggable-error.ts';
import type { AnyOptions } from '../transactions/boundary/options.ts';
import type { z } from 'zod';
import { type EventType, eventTypes, type RecordedEvent } from './event-type.ts';

/** How a consumer is called. */
export interface ConsumerOptions {
  /** `Class.method` unless said. Deliveries are found by it, also those of an earlier release. */
  readonly name?: string;
  /** Deliveries at work at a time on each instance, or groups of them; 4 unless said. */
  readonly concurrency?: number;
  /**
   * Events of different things that one boundary does at most, while many wait; 1 unless said. Where one of them fails, nothing of the others is
   * stored, and each is done by itself. For a consumer whose writes of different events cannot wait for each other, as it locks no shared row.
   */
  readonly batch?: number;
  /** Attempts after which an event is left to people; EVENT_ATTEMPTS unless said. */
  readonly attempts?: number;
  /**
   * Asked of the provider in each turn of the relay, with all types that the consumer is told of: those that somebody wants by now. An event of
   * another type makes no delivery. Who begins to want a type gets the events that are committed after that.
   */
  readonly wants?: (provider: never, types: readonly string[]) => Promise<readonly string[]>;
  /** The boundary in which each event is done. */
  readonly boundary?: Pick<AnyOptions, 'isolation' | 'timeout' | 'retry'>;
}

/** A method that acts on events, as its decorator stands on it. */
export interface ConsumingMethod {
  readonly name: string;
  /** Asked for when all modules are loaded. */
  readonly types: () => readonly string[];
  readonly options: ConsumerOptions;
  readonly property: string | symbol;
}

/** In the place of types of events: all that the program has defined when it starts. */
export const anyEvent = Symbol('any event');

const CONSUMERS = Symbol('consuming methods');
const mostAtOnce = 100;
const mostInBatch = 100;
const mostAttempts = 1000;

/**
 * Has the method called for each event of these types, once: in a boundary of its own, with which the delivery is removed. Where it throws, nothing
 * of it is stored, and it is called again later, longer after each attempt. Events of one thing come in the order of their commits: the next one
 * waits for the one before it until that is done or given up. A `@Phased()` method has no boundary of its own: its run is stored with the removal
 * of the delivery, and done to its end.
 */
export function OnEvent<Data extends z.ZodObject>(
  types: EventType<Data> | readonly EventType<Data>[] | typeof anyEvent,
  options: ConsumerOptions = {},
) {
  return <M extends (event: RecordedEvent<Data>) => Promise<unknown>>(
    prototype: object,
    property: string | symbol,
    _: TypedPropertyDescriptor<M>,
  ): void => {
    const name = options.name ?? `${prototype.constructor.name}.${String(property)}`;
    refuseCount(name, 'concurrency', options.concurrency, mostAtOnce);
    refuseCount(name, 'batch', options.batch, mostInBatch);
    refuseCount(name, 'attempts', options.attempts, mostAttempts);
    const one: ConsumingMethod = { name, types: typesIn(name, types), options, property };
    Reflect.defineMetadata(CONSUMERS, [...consumingMethodsOf(prototype), one], prototype);
  };
}

function typesIn<Data extends z.ZodObject>(
  name: string,
  types: EventType<Data> | readonly EventType<Data>[] | typeof anyEvent,
): () => readonly string[] {
  if (types === anyEvent) return () => eventTypes().map(({ type }) => type);
  const list = (Array.isArray(types) ? types : [types]) as readonly EventType[];
  if (list.length === 0) throw new MisuseError(`${name} names no type of events.`);
  return () => list.map(({ type }) => type);
}

function refuseCount(name: string, option: string, given: number | undefined, most: number): void {
  if (given !== undefined && !(Number.isInteger(given) && given >= 1 && given <= most))
    throw new MisuseError(`${name}: ${option} is a whole number from 1 to ${most}.`);
}

/** The methods of a provider that act on events. */
export const consumingMethodsOf = (provider: unknown): readonly ConsumingMethod[] =>
  typeof provider === 'object' && provider !== null
    ? ((Reflect.getMetadata(CONSUMERS, provider) as readonly ConsumingMethod[] | undefined) ?? [])
    : [];

type Consumer = Readonly<Record<string | symbol, ((event: RecordedEvent) => Promise<unknown>) | undefined>>;

/** Calls the method of the provider. */
export async function callConsumer(
  provider: object,
  { name, property }: ConsumingMethod,
  event: RecordedEvent,
): Promise<unknown> {
  const method = (provider as Consumer)[property];
  if (method === undefined) throw new MisuseError(`${name} is not a method of its provider any more.`);
  return method.call(provider, event);
}
