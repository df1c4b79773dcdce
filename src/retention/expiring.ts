import 'reflect-metadata';
import type { ExpiringTable, Removal, RemovalBatch } from './expired-rows.ts';

/**
 * Removes at most so many rows that are over, oldest first, in a boundary of its own. Gives how many, fewer than asked when none are left, and
 * how far it came: the next call begins there.
 */
export type Remove = (batch: RemovalBatch) => Promise<Removal>;

/** A table with an end, and how its rows are removed where deleting them is not enough. */
export interface Declared extends ExpiringTable {
  readonly remove: Remove | null;
}

const DECLARED = Symbol('expiring tables');

/** What the class of a provider has declared with the decorators of this file. */
export const declaredOn = (provider: unknown): readonly Declared[] =>
  typeof provider === 'object' && provider !== null
    ? ((Reflect.getMetadata(DECLARED, provider) as readonly Declared[] | undefined) ?? [])
    : [];

function declare(prototype: object, declared: Declared): void {
  Reflect.defineMetadata(DECLARED, [...declaredOn(prototype), declared], prototype);
}

/**
 * Says of a repository that rows of its table are over at a moment, and are then removed by the {@link Sweeper}. Nothing may depend on the
 * removal: whoever reads the table asks whether the row is over.
 */
export const Expiring =
  (table: ExpiringTable): ClassDecorator =>
  ({ prototype }) => {
    declare(prototype as object, { ...table, remove: null });
  };

/** The same where more has to be done than to delete the row: by this method, again and again while it removes all that it may. */
export const RemovesExpired =
  (table: ExpiringTable) =>
  <M extends Remove>(prototype: object, _: string | symbol, { value }: TypedPropertyDescriptor<M>): void => {
    declare(prototype, { ...table, remove: value as M });
  };
