import { showId } from '../kernel/ids.ts';
import { showInstant } from '../kernel/instants.ts';
import { eventTypeOf, type RecordedEvent } from './event-type.ts';

/** An event as others read it: CloudEvents 1.0, JSON format, structured mode. */
export interface CloudEvent {
  readonly specversion: '1.0';
  /** Unique with the source: who gets an event twice tells by it. */
  readonly id: string;
  readonly source: string;
  readonly type: string;
  /** What it happened to, as the API shows its id. */
  readonly subject: string;
  readonly time: string;
  readonly datacontenttype: 'application/json';
  /** An extension attribute: the version of the schema of `data`. */
  readonly dataversion: number;
  readonly data: object;
}

/** Where all events can be read: a relative reference, as nobody tells the service by which name it is reached. */
const source = '/v1/events';

/** The event as a CloudEvent. An event of a type that an earlier release has defined shows the UUID of its subject. */
export function cloudEventOf({ id, type, version, subjectId, createdAt, data }: RecordedEvent): CloudEvent {
  const prefix = eventTypeOf(type)?.subject;
  return {
    specversion: '1.0',
    id,
    source,
    type,
    subject: prefix === undefined ? subjectId : showId(prefix, subjectId),
    time: showInstant(createdAt),
    datacontenttype: 'application/json',
    dataversion: version,
    data,
  };
}
