/** One request to an endpoint, as it is kept. */
export interface WebhookAttempt {
  readonly at: string;
  readonly status: number | null;
  readonly durationMs: number;
  /** By what name it has failed; null where it has not. */
  readonly error: string | null;
}

/** What a request has come to. */
export interface SendOutcome {
  readonly status: number | null;
  readonly durationMs: number;
  readonly error: string | null;
}

/** A delivery that this instance sends, and nobody else while the lease lasts. */
export interface LeasedWebhook {
  readonly endpointId: string;
  readonly lease: string;
  readonly url: string;
  readonly secret: Uint8Array;
  /** Signs as well; null where it is over. */
  readonly previousSecret: Uint8Array | null;
  readonly deliveryId: string;
  readonly body: string;
  readonly tries: number;
  /** By the clock of the database. */
  readonly takenAt: Date;
}

/** A status that means the event was taken. */
export const isTaken = (status: number): boolean => status >= 200 && status < 300;
