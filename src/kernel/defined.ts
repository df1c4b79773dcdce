// A member that is always there stays one: what is new has all members that the database demands.
type Optional<T> = { [K in keyof T]: undefined extends T[K] ? K : never }[keyof T];
type Defined<T> = Omit<T, Optional<T>> & { [K in keyof T as K & Optional<T>]?: Exclude<T[K], undefined> };

/** The members that are there: a patch says nothing about a member that is undefined. */
export const withoutUndefined = <T extends object>(patch: T): Defined<T> =>
  Object.fromEntries(Object.entries(patch).filter(([, value]) => value !== undefined)) as Defined<T>;
