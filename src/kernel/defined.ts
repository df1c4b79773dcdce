type Defined<T> = { [K in keyof T]-?: Exclude<T[K], undefined> } extends infer D ? Partial<D> : never;

/** The members that are there: a patch says nothing about a member that is undefined. */
export const defined = <T extends object>(patch: T): Defined<T> =>
  Object.fromEntries(Object.entries(patch).filter(([, value]) => value !== undefined)) as Defined<T>;
