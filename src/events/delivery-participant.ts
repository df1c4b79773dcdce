import { LoggableError, MisuseError } from '../kernel/loggable-error.ts';
import type { FinalStatement, TransactionParticipant } from '../transactions/participant.ts';
import type { DeliveriesRepository, LeasedDelivery } from './deliveries.repository.ts';

/** Somebody else holds the delivery, or has done it: nothing of this attempt is stored. */
export class DeliveryTakenError extends LoggableError {
  override readonly name = 'DeliveryTakenError';
  constructor({ consumer }: LeasedDelivery) {
    super(`An event of ${consumer} was taken over before it was done here.`);
  }
}

/** Removes a delivery with the commit of the boundary that acts on it. */
export class DeliveryParticipant implements TransactionParticipant {
  readonly group = null;
  readonly name: string;
  /** Whether that boundary is stored. */
  isDone = false;

  constructor(
    private readonly delivery: LeasedDelivery,
    private readonly deliveries: DeliveriesRepository,
  ) {
    this.name = `delivery ${delivery.lease}`;
  }

  inUse(): DeliveryTakenError {
    return new DeliveryTakenError(this.delivery);
  }

  firstStatement(): null {
    return null;
  }

  toBeAsked(): void {
    // It always is.
  }

  async begin(): Promise<null> {
    if (this.isDone)
      throw new MisuseError(`${this.delivery.consumer} acts on an event in one boundary, or is @Phased().`);
    return null;
  }

  finalStatement(): FinalStatement {
    return this.deliveries.removing(this.delivery);
  }

  committed(): void {
    this.isDone = true;
  }

  inTurn<T>(boundary: () => Promise<T>): Promise<T> {
    return boundary();
  }
}
