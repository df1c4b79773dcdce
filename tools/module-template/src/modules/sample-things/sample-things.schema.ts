import { z } from 'zod';
import { pageOf, pageQuery } from '../../http/pages/page.ts';
import { alwaysPresent, idIn, idOut, instant, name, prose } from '../../http/schemas.ts';
import { defineIdKinds } from '../../kernel/ids.ts';

export const sampleThingIds = defineIdKinds({ samplething: 'sample thing' });
declare module '../../kernel/ids.ts' {
  interface IdKinds extends Readonly<typeof sampleThingIds> {}
}

export const SampleThingId = idIn('samplething');

// The members of the request and the response. A new one needs a column in prisma/sample-things.prisma, and no other line.
const fields = {
  name: name(100).meta({ description: 'What its owner calls it', examples: ['My sample thing'] }),
  note: prose(500)
    .nullish()
    .meta({ description: 'For people; not interpreted', examples: ['For later'] }),
};
const archived = z.boolean().meta({ description: 'Whether it is closed to edits', examples: [false] });

export const NewSampleThing = z.strictObject(fields).meta({ id: 'NewSampleThing' });
export type NewSampleThing = z.infer<typeof NewSampleThing>;

export const SampleThingPatch = z
  .strictObject({ ...fields, archived })
  .partial()
  .meta({ id: 'SampleThingPatch' });
export type SampleThingPatch = z.infer<typeof SampleThingPatch>;

export const SampleThingView = z
  .object({
    object: z.literal('sample_thing').default('sample_thing'),
    id: idOut('samplething'),
    userId: idOut('usr'),
    ...alwaysPresent(fields),
    archived,
    version: z.int().meta({ description: 'Counts the changes: the ETag', examples: [1] }),
    createdAt: instant,
    updatedAt: instant,
  })
  .meta({ id: 'SampleThing', description: 'A sample thing of a user' });

export const SampleThingQuery = z.strictObject(pageQuery);
export type SampleThingQuery = z.infer<typeof SampleThingQuery>;
export const SampleThingPage = pageOf(SampleThingView).meta({
  id: 'SampleThingPage',
  description: 'Sample things, newest first',
});
