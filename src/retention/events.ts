import { type Channel, channel } from 'node:diagnostics_channel';

/** A batch of expired rows was removed. */
export interface ExpiredRemoved {
  readonly table: string;
  readonly removed: number;
  /** Milliseconds. */
  readonly durationMs: number;
}

/** What is over in a table and still there, after a round: with each round of each instance, also when it is nothing. */
export interface ExpiredLeft {
  readonly table: string;
  readonly count: number;
  /** More than are counted were there, or counting them took too long: `count` is the planner's estimate. */
  readonly isEstimate: boolean;
  /** How long the oldest row has been over, milliseconds; 0 when there is none, null where it could not be found in time. */
  readonly oldestMs: number | null;
}

interface Told<Message> extends Channel<unknown, Message> {
  publish(message: Message): void;
}
const tells = <Message>(name: string): Told<Message> => channel(`holdfast:${name}`) as Told<Message>;

export const expiredRemoved = tells<ExpiredRemoved>('expired-removed');
export const expiredLeft = tells<ExpiredLeft>('expired-left');
