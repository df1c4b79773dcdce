/** @servers any */
import { z } from 'zod';
import { idIn, idOut } from '../src/http/schemas.ts';
import { defineIdKinds, type Prefix } from '../src/kernel/ids.ts';

const later = 'later' as Prefix;

describe('a view that shows the id of another module', () => {
  it('describes it by the name which that module gives it, also when that is loaded later', () => {
    const [incoming, outgoing] = [z.object({ id: idIn(later) }), z.object({ id: idOut(later).nullable() })];
    defineIdKinds({ later: 'album' });
    expect(z.toJSONSchema(incoming, { io: 'input' }).properties?.['id']).toMatchObject({
      description: 'Id of an album',
      examples: ['later_01h455vb4pex5vsknk084sn02q'],
    });
    expect(JSON.stringify(z.toJSONSchema(outgoing, { io: 'output' }))).toContain('Id of an album');
    expect(incoming.safeParse({ id: 'album_1' }).error?.issues).toMatchObject([
      { message: 'must be the id of an album: later_ and 26 characters' },
    ]);
  });
});
