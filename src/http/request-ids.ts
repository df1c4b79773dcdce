import { defineIdKinds, newId, showId } from '../kernel/ids.ts';

export const requestIds = defineIdKinds({ req: 'request' });
declare module '../kernel/ids.ts' {
  interface IdKinds extends Readonly<typeof requestIds> {}
}

/** The id of a request that begins: ours alone. Who could choose it could give requests the ids of others'. A caller's own stands beside it in the log. */
export const newRequestId = (): string => showId('req', newId());
