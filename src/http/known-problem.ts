/** What is known of a refusal: its HTTP status, its title, what it means with what to do, and whether the same request may succeed later. */
export interface KnownProblem {
  readonly status: number;
  readonly title: string;
  readonly meaning: string;
  readonly retryable: boolean;
  /** Whether the same request with the same Idempotency-Key may be repeated: it is done once, whatever became of the first. Default: as `retryable`. */
  readonly retryableWithKey?: true;
  /** Seconds until a retry makes sense, for `Retry-After`, where nobody knows better. */
  readonly retryAfter?: number;
}

export const final = (status: number, title: string, meaning: string): KnownProblem => ({
  status,
  title,
  meaning,
  retryable: false,
});
export const passing = (status: number, title: string, meaning: string): KnownProblem => ({
  ...final(status, title, meaning),
  retryable: true,
  retryAfter: 1,
});
/** Nobody knows what became of the request: with an Idempotency-Key it may be repeated, without one that may do it twice. */
export const unknown = (status: number, title: string, meaning: string): KnownProblem => ({
  ...final(status, title, meaning),
  retryableWithKey: true,
});
export const missing = (what: string): KnownProblem =>
  final(
    404,
    `No such ${what}`,
    `There is no such ${what}, or it is not yours. \`errors\` points to it when it was named in the body.`,
  );
export const taken = (title: string): KnownProblem =>
  final(409, title, 'Somebody else has it already. Choose another.');
