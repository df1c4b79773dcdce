import { showId } from '../kernel/ids.ts';
import { showInstant } from '../kernel/instants.ts';
import { eventTypeOf, type RecordedEvent } from './event-type.ts';
import { schemaOf } from './event-view.ts';

/** An event as others read it: CloudEvents 1.0, JSON format, structured mode. */
export interface CloudEvent {
  readonly specversion: '1.0';
  /** As the API shows it. Unique with the source: who gets an event twice tells by it. */
  readonly id: string;
  readonly source: string;
  readonly type: string;
  /** What it happened to, as the API shows its id. */
  readonly subject: string;
  readonly time: string;
  readonly datacontenttype: 'application/json';
  /** Of this version; left out where nobody defines that any more. */
  readonly dataschema?: string;
  /** An extension attribute: the version of the schema of `data`. */
  readonly dataversion: number;
  readonly data: object;
}

/** Where all events can be read: a relative reference, as nobody tells the service by which name it is reached. */
const source = '/v1/events';

type Shown = Omit<RecordedEvent, 'ownerId' | 'counterpartyId'>;

/** The event as a CloudEvent. An event of a type that an earlier release has defined shows the UUID of its subject. */
export function cloudEventOf({ id, type, version, subjectId, createdAt, data }: Shown): CloudEvent {
  const known = eventTypeOf(type);
  return {
    specversion: '1.0',
    id: showId('evt', id),
    source,
    type,
    subject: known === undefined ? subjectId : showId(known.subject, subjectId),
    time: showInstant(createdAt),
    datacontenttype: 'application/json',
    ...(known?.version === version && { dataschema: schemaOf(known) }),
    dataversion: version,
    data,
  };
}
