import { Injectable } from '@nestjs/common';
import type { Removal, RemovalBatch } from '../retention/expired-rows.ts';
import { RemovesExpired } from '../retention/expiring.ts';
import { Transactions } from '../transactions/transactions.ts';
import { EventConsumers } from './event-consumers.ts';
import { EventsRepository } from './events.repository.ts';

/** Removes events that are over, in the order of their positions: not before every consumer of this release has done or given them up. */
@Injectable()
export class EventRetention {
  // Where the removal before has stopped, so that what it has left or removed is not read again.
  private from = 0n;

  constructor(
    private readonly transactions: Transactions,
    private readonly events: EventsRepository,
    private readonly consumers: EventConsumers,
  ) {}

  @RemovesExpired({ table: 'event', end: 'expires_at' })
  async removeExpired({ most, from }: RemovalBatch): Promise<Removal> {
    if (from === null) this.from = 0n;
    const { reached, ...removal } = await this.transactions.run(
      { name: 'EventRetention.removeExpired', timeout: '5s', retry: 0 },
      () => this.events.removeExpired(this.consumers.names, { most, after: this.from }),
    );
    this.from = reached ?? this.from;
    return removal;
  }
}
