import { type BeforeApplicationShutdown, Injectable, Logger, type OnApplicationBootstrap } from '@nestjs/common';
import { EventRelay } from '../../events/event-relay.ts';
import { WakeableLoop } from '../../queues/wakeable-loop.ts';
import { generalProblems } from '../../kernel/general.problems.ts';
import type { Principal } from '../../kernel/principal.ts';
import { Drain } from '../../operations/drain.ts';
import { unitOfWork } from '../../transactions/unit-of-work.ts';
import { FeedRepository, type Herald } from './feed.repository.ts';

/** Who may wait on one instance, and of one user. */
const [most, mostOfUser] = [1000, 20];
const pollMs = 500;
/** How soon somebody looks again who may have missed something before they waited. */
const againMs = 10;

/** What is waited for: something that this person may read, behind this position. */
export interface Awaited {
  readonly by: Principal;
  readonly types: readonly string[] | null;
  readonly behind: bigint;
}

interface Waiter extends Awaited {
  readonly wake: () => void;
}

/**
 * Those who wait for events on this instance. One look at what is new serves them all: when the relay of this instance has moved the horizon,
 * and every half second for what others relay. Who is concerned by nothing of it sleeps on.
 */
@Injectable()
export class EventWaiters implements OnApplicationBootstrap, BeforeApplicationShutdown {
  private readonly logger = new Logger(EventWaiters.name);
  private readonly waiters = new Set<Waiter>();
  private readonly loop = new WakeableLoop(() => this.look(), pollMs);
  /** Up to where was looked. */
  private known = 0n;
  private isOver = false;

  constructor(
    private readonly feed: FeedRepository,
    private readonly relay: EventRelay,
    private readonly drain: Drain,
  ) {}

  onApplicationBootstrap(): void {
    this.relay.onTurn(({ horizon }) => {
      if (horizon !== null && horizon > this.known && this.count > 0) this.loop.wake();
    });
    this.loop.start();
  }

  /** Nobody is kept waiting by an instance that stops. */
  async beforeApplicationShutdown(): Promise<void> {
    this.isOver = true;
    this.wakeAll();
    await this.loop.stop();
  }

  /** How many wait. */
  get count(): number {
    return this.waiters.size;
  }

  /** Whether it makes sense to wait. */
  get areOpen(): boolean {
    return !this.isOver && !this.drain.isOn;
  }

  /**
   * Until something may be there, the time is over, the caller has gone away or the instance stops. Throws temporary-reduced-capacity where too
   * many wait.
   */
  async wait(awaited: Awaited, ms: number, gone: AbortSignal): Promise<void> {
    const ofUser = [...this.waiters].filter(({ by }) => by.userId === awaited.by.userId).length;
    if (this.count >= most || ofUser >= mostOfUser)
      throw generalProblems.reducedCapacity('As many requests wait for events as can.');
    // What was seen before anybody waited is nothing new.
    if (this.waiters.size === 0 && awaited.behind > this.known) this.known = awaited.behind;
    // Others were told of something after this one has looked.
    const isLate = awaited.behind < this.known;
    await this.sleep(awaited, isLate ? Math.min(ms, againMs) : ms, gone);
  }

  private async sleep(awaited: Awaited, ms: number, gone: AbortSignal): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<undefined>();
    const wake = (): void => resolve(undefined);
    const waiter = { ...awaited, wake };
    const timer = setTimeout(wake, ms);
    gone.addEventListener('abort', wake, { once: true });
    this.waiters.add(waiter);
    if (gone.aborted || !this.areOpen) wake();
    await promise;
    clearTimeout(timer);
    gone.removeEventListener('abort', wake);
    this.waiters.delete(waiter);
  }

  /** Gives after how many milliseconds to look again; null: when there is a reason. */
  private async look(): Promise<number | null> {
    if (!this.areOpen) this.wakeAll();
    if (this.waiters.size === 0) return null;
    try {
      const { heralds, horizon, isWhole } = await unitOfWork('EventWaiters', () => this.feed.listHeralds(this.known));
      if (horizon > this.known) this.known = horizon;
      const concerned = [...this.waiters].filter((waiter) => !isWhole || heralds.some((one) => concerns(one, waiter)));
      for (const { wake } of concerned) wake();
    } catch (error) {
      this.logger.warn({ err: error }, 'it could not be looked for new events');
    }
    return null;
  }

  private wakeAll(): void {
    for (const { wake } of this.waiters) wake();
  }
}

const concerns = ({ type, ownerId, counterpartyId }: Herald, { by, types }: Waiter): boolean =>
  (types === null || types.includes(type)) &&
  (by.role === 'operator' || ownerId === by.userId || counterpartyId === by.userId);
