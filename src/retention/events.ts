import { type Channel, channel } from 'node:diagnostics_channel';

/** A batch of expired rows was removed. */
export interface ExpiredRemoved {
  readonly table: string;
  readonly removed: number;
  /** Milliseconds. */
  readonly durationMs: number;
}

/** What is over in a table and still there, after a round. */
export interface ExpiredLeft {
  readonly table: string;
  /** Counted up to a bound. */
  readonly count: number;
  /** How long the oldest row has been over, milliseconds; 0 when there is none. */
  readonly oldestMs: number;
}

interface Told<Message> extends Channel<unknown, Message> {
  publish(message: Message): void;
}
const tells = <Message>(name: string): Told<Message> => channel(`holdfast:${name}`) as Told<Message>;

export const expiredRemoved = tells<ExpiredRemoved>('expired-removed');
export const expiredLeft = tells<ExpiredLeft>('expired-left');
