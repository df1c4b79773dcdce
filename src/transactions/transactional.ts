import { Inject } from '@nestjs/common';
import type { TransactionOptions } from './boundary.ts';
import { Transactions } from './transactions.ts';

const TRANSACTIONS = Symbol('transactions');
type Method = (...args: never[]) => Promise<unknown>;

/**
 * Draws a boundary around a method of a service: all that it and whatever it calls write is stored together, or nothing is.
 * The method must return a promise. A call on `this` keeps the boundary of its own method.
 */
export function Transactional(options: TransactionOptions = {}) {
  return <M extends Method>(target: object, key: string | symbol, descriptor: TypedPropertyDescriptor<M>): void => {
    const method = descriptor.value;
    if (method === undefined) throw new TypeError(`@Transactional() stands on ${String(key)}, which is not a method.`);
    injectTransactions(target);
    const settled = { name: `${target.constructor.name}.${String(key)}`, ...options };
    descriptor.value = async function (this: { [TRANSACTIONS]: Transactions }, ...args: never[]) {
      return this[TRANSACTIONS].run(settled, async () => method.apply(this, args));
    } as M;
  };
}

// By property, so that each application in a process gives its own services its own connection, and no constructor mentions it.
function injectTransactions(target: object): void {
  if (!Object.hasOwn(target, TRANSACTIONS)) {
    Object.defineProperty(target, TRANSACTIONS, { value: undefined, writable: true });
    Inject(Transactions)(target, TRANSACTIONS);
  }
}
