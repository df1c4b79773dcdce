import { LoggableError } from '../kernel/loggable-error.ts';

/** Somebody else works on the run, or has taken it over. It will come to its end without this caller, who may ask again. */
export class PhasedRunBusyError extends LoggableError {
  override readonly name = 'PhasedRunBusyError';
  constructor(method: string) {
    super(`${method} is under way elsewhere. It is done to its end there.`);
  }
}

/** A run that was called again has come to another boundary than before: its method must come to the same ones in the same order. */
export class PhaseOrderError extends LoggableError {
  override readonly name = 'PhaseOrderError';
  constructor(method: string, number: number, before: string, now: string) {
    super(`Phase ${number} of ${method} was ${before} when it was stored and is ${now} now.`);
  }
}
