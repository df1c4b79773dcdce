import { Injectable } from '@nestjs/common';
import { afterCommit } from '../transactions/hooks.ts';
import { gatherForCommit } from '../transactions/participant.ts';
import { EventRelay } from './event-relay.ts';
import type { NewEvent } from './event-type.ts';
import { EventsRepository } from './events.repository.ts';

/** Stores what happened in the commit in which it happened. */
@Injectable()
export class Events {
  constructor(
    private readonly events: EventsRepository,
    private readonly relay: EventRelay,
  ) {}

  /**
   * Stores the event with the running boundary, in the round trip of its COMMIT; all events of a boundary with one statement. It is gone where
   * the boundary, or the savepoint in which it was recorded, is rolled back. Throws TransactionRequiredError outside a boundary.
   */
  record(event: NewEvent): void {
    if (gatherForCommit(this.events, event)) afterCommit(() => this.relay.wake());
  }
}
