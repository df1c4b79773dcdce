import type { Cases, World } from '../support/cases.ts';
import { uuidOf } from '../support/make.ts';

/** A row of alice's, with these columns beside the id and the owner. */
const row = ({ alice }: World, columns: string, values: string) =>
  Promise.resolve({
    statements: [
      `INSERT INTO "sample_thing" (id, user_id, ${columns}) VALUES (gen_random_uuid(), '${uuidOf(alice.id)}', ${values})`,
    ],
  });

// What the tests that go over all modules cannot derive of this one (test/support/cases.ts).
export const cases: Cases = {
  tables: { sample_thing: 'removed by its owner' },
  rights: { sample_thing: 'INSERT, UPDATE, DELETE' },
  boundaries: {
    'SampleThingsService.edit': { last: 'UPDATE sample_thing', call: 'PATCH /v1/sample-things/{id}' },
  },
  rules: {
    sample_thing_name_has_a_length: (world) => row(world, 'name', `''`),
    sample_thing_note_has_a_length: (world) => row(world, 'name, note', `'One', repeat('x', 501)`),
    sample_thing_version_counts_from_one: (world) => row(world, 'name, version', `'One', 0`),
    sample_thing_is_updated_after_it_was_made: (world) =>
      row(world, 'name, updated_at', `'One', '2000-01-01T00:00:00Z'`),
  },
};
