import { channel } from 'node:diagnostics_channel';

/** A turn of the relay has ended: {@link Turn}. */
export const eventsRelayed = channel('holdfast:events-relayed');

/** A delivery was done, or has failed: {@link DeliveryEnded}. */
export const deliveryEnded = channel('holdfast:delivery-ended');

export interface DeliveryEnded {
  readonly consumer: string;
  readonly outcome: 'done' | 'failed' | 'dead';
  readonly attempts: number;
  /** From the commit of the event to the end of the delivery, by two clocks. */
  readonly ageMs: number;
}
