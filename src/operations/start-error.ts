import { LoggableError } from '../kernel/loggable-error.ts';

/** Why this start is refused, in a sentence for a person. */
export class StartError extends LoggableError {}
