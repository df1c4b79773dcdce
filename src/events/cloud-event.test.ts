import { z } from 'zod';
import { defineIdKinds, showId } from '../kernel/ids.ts';
import { cloudEventOf } from './cloud-event.ts';
import { defineEvent } from './event-type.ts';

const kinds = defineIdKinds({ ord: 'order' });
defineEvent({
  type: 'probe.shown',
  version: 2,
  meaning: 'A test.',
  subject: Object.keys(kinds)[0] as 'ord',
  data: z.object({ mark: z.string() }),
});

const recorded = {
  position: 7n,
  id: '01890a5d-ac96-774b-bcce-b302099a8057',
  type: 'probe.shown',
  version: 2,
  subjectId: '01890a5d-ac96-774b-bcce-b302099a8058',
  ownerId: '01890a5d-ac96-774b-bcce-b302099a8059',
  counterpartyId: null,
  data: { mark: 'one' },
  createdAt: new Date('2026-11-30T22:00:00.123Z'),
};

describe('a CloudEvent', () => {
  it('says what happened to what and when, and neither who may read it nor how many events there are', () => {
    expect(cloudEventOf(recorded)).toEqual({
      specversion: '1.0',
      id: showId('evt', recorded.id),
      source: '/v1/events',
      type: 'probe.shown',
      subject: showId('ord', recorded.subjectId),
      time: '2026-11-30T22:00:00.123Z',
      datacontenttype: 'application/json',
      dataschema: '/openapi.json#/components/schemas/ProbeShownDataV2',
      dataversion: 2,
      data: { mark: 'one' },
    });
  });

  it('of a type that is not defined any more shows its subject as it was stored', () => {
    const shown = cloudEventOf({ ...recorded, type: 'probe.forgotten' });
    expect([shown.subject, shown.dataschema]).toEqual([recorded.subjectId, undefined]);
    expect(cloudEventOf({ ...recorded, version: 1 })).not.toHaveProperty('dataschema');
  });
});
