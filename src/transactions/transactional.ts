import { Inject } from '@nestjs/common';
import { MisuseError } from '../kernel/loggable-error.ts';
import { defaultName } from './boundary/option-checks.ts';
import type { AnyOptions, TransactionOptions } from './boundary/options.ts';
import { Transactions } from './transactions.ts';

const TRANSACTIONS = Symbol('transactions');
const BOUNDARIES = Symbol('boundaries');
type Method = (...args: never[]) => Promise<unknown>;

/** A boundary as `@Transactional()` has drawn it. */
export interface DrawnBoundary {
  readonly key: string | symbol;
  /** `Class.method`. */
  readonly method: string;
  /** As they were given, but with a name. */
  readonly options: AnyOptions & { readonly name: string };
}

/**
 * Draws a boundary around a method of a service: all that it and whatever it calls write is stored together, or nothing is.
 * The method must return a promise. A call on `this` keeps the boundary of its own method.
 * Throws TypeError where it stands on something that is not a method of an instance, or twice on one.
 */
export function Transactional(options: TransactionOptions = {}) {
  return <M extends Method>(target: object, key: string | symbol, descriptor: TypedPropertyDescriptor<M>): void => {
    const method = methodOf(target, key, descriptor);
    const where = `${target.constructor.name}.${String(key)}`;
    const settled = Object.freeze({ ...options, name: options.name ?? defaultName(where) });
    record(target, { key, method: where, options: settled });
    injectTransactions(target);
    const bounded = async function (this: { [TRANSACTIONS]: Transactions | undefined }, ...args: never[]) {
      return transactionsOf(this, where).run(settled, async () => method.apply(this, args));
    };
    descriptor.value = withMetadataOf(method, bounded) as unknown as M;
  };
}

/** The boundaries that an object of this prototype has, its own and those it inherits. */
export function boundariesOf(prototype: object | null): DrawnBoundary[] {
  if (prototype === null) return [];
  const inherited = boundariesOf(Object.getPrototypeOf(prototype) as object | null);
  return [...inherited.filter(({ key }) => !Object.hasOwn(prototype, key)), ...ownBoundaries(prototype)];
}

const ownBoundaries = (prototype: object): readonly DrawnBoundary[] =>
  (Reflect.getOwnMetadata(BOUNDARIES, prototype) as readonly DrawnBoundary[] | undefined) ?? [];

function record(target: object, boundary: DrawnBoundary): void {
  Reflect.defineMetadata(BOUNDARIES, [...ownBoundaries(target), boundary], target);
}

/** What the decorator stands on, which the types say as well; but not of a class that was written in JavaScript, or cast. */
function methodOf<M extends Method>(
  target: object,
  key: string | symbol | undefined,
  descriptor: TypedPropertyDescriptor<M> | undefined,
): M {
  const refuse = (where: string, what: string): never => {
    throw new MisuseError(
      `@Transactional() stands on ${where}, which is ${what}. It draws a boundary around a method.`,
    );
  };
  if (key === undefined) return refuse((target as { name?: string }).name ?? 'a class', 'a class');
  if (typeof target === 'function')
    return refuse(`${target.name}.${String(key)}`, 'static: no injected Transactions belongs to it');
  const where = `${target.constructor.name}.${String(key)}`;
  if (descriptor === undefined) return refuse(where, 'a property');
  if (typeof descriptor.value !== 'function') return refuse(where, 'an accessor');
  if (ownBoundaries(target).some((drawn) => drawn.key === key)) return refuse(where, 'a boundary already');
  return descriptor.value;
}

const ownToFunctions: ReadonlySet<string | symbol> = new Set(['length', 'name', 'prototype', 'arguments', 'caller']);

// What other decorators have left on the method, metadata and properties, is looked for on what stands in its place.
function withMetadataOf(method: object, bounded: object): object {
  for (const key of Reflect.ownKeys(method))
    if (!ownToFunctions.has(key))
      Object.defineProperty(bounded, key, Object.getOwnPropertyDescriptor(method, key) as PropertyDescriptor);
  for (const key of Reflect.getOwnMetadataKeys(method))
    Reflect.defineMetadata(key, Reflect.getOwnMetadata(key, method), bounded);
  return bounded;
}

// A class that was made by hand, or by Nest without the module that provides it.
function transactionsOf(instance: { [TRANSACTIONS]: Transactions | undefined }, where: string): Transactions {
  const transactions = instance[TRANSACTIONS];
  if (transactions !== undefined) return transactions;
  throw new MisuseError(
    `${where} draws a boundary, and its object was not made by Nest: provide the class in a module, import TransactionsModule, and inject it.`,
  );
}

// By property, so that each application in a process gives its own services its own connection, and no constructor mentions it.
function injectTransactions(target: object): void {
  if (!Object.hasOwn(target, TRANSACTIONS)) {
    Object.defineProperty(target, TRANSACTIONS, { value: undefined, writable: true });
    Inject(Transactions)(target, TRANSACTIONS);
  }
}
