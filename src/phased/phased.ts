import { AsyncLocalStorage } from 'node:async_hooks';
import { Inject } from '@nestjs/common';
import { MisuseError } from '../kernel/loggable-error.ts';

/** Under this key a service has what runs its phased methods; Nest injects it. */
export const PHASED_RUNS = Symbol('phased runs');
const METHODS = Symbol('phased methods');

type Method = (...args: never[]) => Promise<unknown>;

/** A phased method as its decorator stands on it. */
export interface PhasedMethod {
  /** `Class.method`, or the name that was given. Runs are found by it, also those of an earlier release. */
  readonly name: string;
  readonly work: (service: object, args: unknown[]) => Promise<unknown>;
  readonly property: string | symbol;
}

/** What runs phased methods: see PhasedRuns. */
interface Runner {
  run(phased: PhasedMethod, service: object, args: unknown[]): Promise<unknown>;
}

/** The run that is under way around this place. */
export const currentRun = new AsyncLocalStorage<{ readonly id: string }>();

/**
 * Work in several boundaries that is done to its end: each outermost boundary of the method is a phase, stored once with its result. After
 * a crash, a lost connection or an error of ours the method is called again, by a repeat of the request with its Idempotency-Key or by
 * {@link PhasedWorker}; a phase that is stored is not run again but gives its result. What stands between the phases may be done more than
 * once: a call outside sends {@link phasedKey} along, so that the other side does it once.
 *
 * Arguments and results are kept until the method is done, as structured clones: plain data, ids rather than things, no secrets.
 * The method must come to the same boundaries in the same order when it is called again. A refusal (ProblemError, HttpException below 500)
 * is an end as well. Inside a boundary it is refused: its phases could not be stored one by one.
 */
export function Phased(options: { readonly name?: string } = {}) {
  return <M extends Method>(target: object, key: string | symbol, descriptor: TypedPropertyDescriptor<M>): void => {
    const method = descriptor.value;
    if (method === undefined) throw new MisuseError(`@Phased() stands on ${String(key)}, which is not a method.`);
    const phased: PhasedMethod = {
      name: options.name ?? `${target.constructor.name}.${String(key)}`,
      work: (service, args) => method.apply(service, args as never[]),
      property: key,
    };
    Reflect.defineMetadata(METHODS, [...ownMethods(target), phased], target);
    inject(target);
    descriptor.value = async function (this: { [PHASED_RUNS]: Runner | undefined }, ...args: never[]) {
      const runs = this[PHASED_RUNS];
      if (runs === undefined) throw new MisuseError(`${phased.name} was not made by Nest: import PhasedModule.`);
      return runs.run(phased, this, args);
    } as unknown as M;
  };
}

/**
 * A key for a call outside in a phased method: the same in every attempt of this run, another one in each other run. `label` tells the calls
 * of one run apart. Throws MisuseError outside a phased method.
 */
export function phasedKey(label: string): string {
  const run = currentRun.getStore();
  if (run === undefined)
    throw new MisuseError('phasedKey() is for the calls of a @Phased() method, and none is running.');
  return `${run.id}-${label}`;
}

/** The phased methods of a service. */
export function phasedMethodsOf(service: unknown): PhasedMethod[] {
  if (typeof service !== 'object' || service === null) return [];
  const inherited = phasedMethodsOf(Object.getPrototypeOf(service));
  return Object.hasOwn(service, 'constructor') ? [...inherited, ...ownMethods(service)] : inherited;
}

const ownMethods = (prototype: object): readonly PhasedMethod[] =>
  (Reflect.getOwnMetadata(METHODS, prototype) as readonly PhasedMethod[] | undefined) ?? [];

function inject(target: object): void {
  if (Object.hasOwn(target, PHASED_RUNS)) return;
  Object.defineProperty(target, PHASED_RUNS, { value: undefined, writable: true });
  Inject(PHASED_RUNS)(target, PHASED_RUNS);
}
