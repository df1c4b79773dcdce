import { type BeforeApplicationShutdown, Inject, Injectable, Logger } from '@nestjs/common';
import type { Config } from '../config/config.ts';
import { EventsConfig } from '../config/slices.ts';
import { Transactions } from '../transactions/transactions.ts';
import { unitOfWork } from '../transactions/unit-of-work.ts';
import { eventsRelayed } from './channels.ts';
import { EventsRepository, type Subscriber, type Subscription } from './events.repository.ts';
import { advanced } from './horizon.ts';
import { WakeableLoop } from '../queues/wakeable-loop.ts';

/** Events that one turn looks at, and deliveries that it makes for each consumer. */
export const turnSize = 1000;
/**
 * From the beginning of a turn to the next, milliseconds, while commits follow each other, or where another instance or a commit under way has held
 * it up: it does what has come meanwhile at once.
 */
const turnEveryMs = 20;

/** What a turn of the relay has come to. */
export interface Turn {
  /** The consumers that have new deliveries. */
  readonly consumers: readonly string[];
  /** Whether there is more to be done by now. */
  readonly isBehind: boolean;
  /** Up to where events may be read; null where another instance was at it. */
  readonly horizon: bigint | null;
  /** Whether a position is missing, or another instance was at it. */
  readonly isHeld: boolean;
}

type Listener = (turn: Turn) => void;

/**
 * Moves the horizon of events on and makes the deliveries of consumers, in one boundary: of all instances one at a time. Begins when an event was
 * committed here, and looks now and then for those of others.
 */
@Injectable()
export class EventRelay implements BeforeApplicationShutdown {
  private readonly logger = new Logger(EventRelay.name);
  private readonly loop: WakeableLoop;
  private readonly listeners = new Set<Listener>();
  private subscribers: readonly Subscriber[] = [];
  private hasFailed = false;

  constructor(
    private readonly transactions: Transactions,
    private readonly events: EventsRepository,
    @Inject(EventsConfig.KEY) config: Config['events'],
  ) {
    this.loop = new WakeableLoop(() => this.work(), config.pollIntervalMs, turnEveryMs);
  }

  /** Begins to relay for these consumers, which it adds where they are new. */
  async start(subscribers: readonly Subscriber[]): Promise<void> {
    this.subscribers = subscribers;
    await this.transactions.run({ name: 'EventRelay.start' }, () =>
      this.events.addConsumers(subscribers.map(({ name }) => name)),
    );
    this.loop.start();
  }

  async beforeApplicationShutdown(): Promise<void> {
    await this.loop.stop();
  }

  /** Calls the listener after each turn that has done something. Gives what ends that. */
  onTurn(listener: Listener): () => void {
    this.listeners.add(listener);
    return () => void this.listeners.delete(listener);
  }

  /** There may be new events. Does nothing where this instance does not relay. */
  wake(): void {
    this.loop.wake();
  }

  /** One turn. */
  turn(): Promise<Turn> {
    return this.transactions.run({ name: 'EventRelay.turn' }, async () => {
      const horizon = await this.events.lockHorizon();
      if (horizon === null) return { consumers: [], isBehind: false, isHeld: true, horizon: null };
      // A separate statement: it sees all that had ended when the horizon was read.
      const ahead = await this.events.lookAhead(horizon.position, turnSize);
      const next = advanced(horizon, horizon.oldestRunning, ahead);
      if (next.position !== horizon.position || next.watermark !== horizon.watermark)
        await this.events.moveHorizon(next);
      const fannedOut = await this.events.fanOut(await this.subscriptions(), next.position, turnSize);
      return {
        consumers: fannedOut.flatMap(({ consumer, made }) => (made > 0 ? [consumer] : [])),
        isBehind: fannedOut.some((one) => one.isBehind) || next.position - horizon.position >= turnSize,
        horizon: next.position,
        isHeld: next.watermark !== null,
      };
    });
  }

  // Behind the look at the events: whoever wanted a type before one of them was committed is seen.
  private subscriptions(): Promise<Subscription[]> {
    return Promise.all(
      this.subscribers.map(async ({ name, types, wants }) => ({ name, types: (await wants?.(types)) ?? types })),
    );
  }

  /** Gives after how many milliseconds to go on; null: when it is woken. */
  private async work(): Promise<number | null> {
    try {
      const turn = await unitOfWork('EventRelay', () => this.turn());
      this.hasFailed = false;
      for (const listener of this.listeners) listener(turn);
      if (eventsRelayed.hasSubscribers) eventsRelayed.publish(turn);
      if (turn.isBehind) return 0;
      return turn.isHeld ? turnEveryMs : null;
    } catch (error) {
      if (!this.hasFailed) this.logger.warn({ err: error }, 'events could not be relayed');
      this.hasFailed = true;
      return null;
    }
  }
}
